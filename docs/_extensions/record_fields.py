"""`{fields-of} MODULE.RECORD`, `{tuning-kinds}`, `{record-fields} MODULE.RECORD` and `{drift-columns}`: fields and columns from the program itself."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

from docutils import nodes
from field_words import default_words, field_descriptions, limits, records_within, type_words
from nodes_of_text import definitions, paragraph, section
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_OF_A_RECORD = re.compile(r"\b[A-Z][A-Za-z]+(?:Section|Entry|Options|Overrides)\b")
_COLUMN = re.compile(r'^    "(\w+)",  # (.+)$', re.MULTILINE)


def _fields(record: type[BaseModel], *, with_default: bool) -> nodes.definition_list:
    described = field_descriptions(record)
    entries = []
    for name, field in record.model_fields.items():
        kind = type_words(field.annotation)
        if with_default:  # of a study file, whose reader writes YAML and knows no classes
            kind = _OF_A_RECORD.sub("mapping", kind)
        facts = [kind, limits(field), default_words(field) if with_default else ""]
        words = paragraph(described.get(name, ""))
        term = [
            nodes.literal(text=name),
            nodes.Text("  "),
            nodes.emphasis(text=", ".join(f for f in facts if f)),
        ]
        entries.append((term, [words] if described.get(name) else []))
    return definitions(entries)


class FieldsOf(SphinxDirective):
    """The fields of one record that a study file has, with their defaults."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        return [_fields(getattr(importlib.import_module(module), name), with_default=True)]


class TuningKinds(SphinxDirective):
    """A section for each kind of tuning, with its options."""

    def run(self) -> list[nodes.Node]:
        from repdrift.training import tuning_kinds

        made: list[nodes.Node] = []
        for name in tuning_kinds.names():
            record = tuning_kinds.get(name).options
            of_kind = section(self.state.document, name, f"kind-{name}", code=True)
            of_kind += _fields(record, with_default=True) if record.model_fields else paragraph("It has no options.")
            made.append(of_kind)
        return made


class RecordFields(SphinxDirective):
    """A section for a record and for each record that lies in its fields."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        record = getattr(importlib.import_module(module), name)
        made: list[nodes.Node] = []
        for each in records_within(record):
            of_record = section(self.state.document, each.__name__, f"record-{name}-{each.__name__}".lower())
            of_record += paragraph(" ".join((inspect.getdoc(each) or "").split()))
            of_record += _fields(each, with_default=False)
            made.append(of_record)
        return made


class DriftColumns(SphinxDirective):
    """The columns of the tidy table, as the module that names them describes them."""

    def run(self) -> list[nodes.Node]:
        from repdrift.core.records import results

        described = dict(_COLUMN.findall(inspect.getsource(results)))
        if list(described) != list(results.DRIFT_COLUMNS):
            raise self.error(f"columns without a description: {set(results.DRIFT_COLUMNS) - set(described)}")
        return [definitions(([nodes.literal(text=name)], [paragraph(words)]) for name, words in described.items())]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("fields-of", FieldsOf)
    app.add_directive("tuning-kinds", TuningKinds)
    app.add_directive("record-fields", RecordFields)
    app.add_directive("drift-columns", DriftColumns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
