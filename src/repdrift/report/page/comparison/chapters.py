"""Chapters of a comparison's page: how the data was read, then for every model, and for all together, the sections with their tables and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from repdrift.core.comparison_words import how_sure
from repdrift.core.gate_words import gate_section
from repdrift.core.records.comparison import Comparison
from repdrift.core.shown_text import for_terminal
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.worded_section import WordedSection
from repdrift.report.page.contents import Chapter
from repdrift.report.page.templates import page_templates

_MOST_BESIDE = 6
"""Up to so many models each have a chapter; more of them are folded into one."""


GATE_CHAPTER = "chapter-gate"


def chapters(
    result: Comparison, sections: Mapping[str, Sequence[WordedSection]], whole: Sequence[WordedSection]
) -> list[Chapter]:
    """Returns the chapters that have something to say. sections: by model; whole: those on all models together."""
    found = [
        Chapter(
            f"chapter-model-{place}", f"{model.name}: all numbers, and what moved", _html(f"model-{place}", of_model)
        )
        for place, model in enumerate(result.models)
        if (of_model := sections.get(model.name, ()))
    ]
    if len(found) > _MOST_BESIDE:
        found = [Chapter("chapter-models", "Every model: all numbers, and what moved", _folded(found))]
    if whole:
        found.append(Chapter("chapter-all", "All models together", _html("all", whole)))
    if result.gate is not None:
        section = gate_section(result.gate)
        found.insert(0, Chapter(GATE_CHAPTER, section.title, _html("gate", [section])))
    title = "How the data was read, and how sure the numbers are"
    return [*found, Chapter("chapter-data", title, _html("data", [_data(result)]))]


def _html(prefix: str, sections: Sequence[WordedSection]) -> Markup:
    """Sections as HTML. prefix: of their anchors, which must differ on the page."""
    return _macros().worded_sections(sections, prefix)


@cache
def _macros() -> Any:
    return page_templates("dashboard").get_template("macros.html").module


def _folded(parts: Sequence[Chapter]) -> Markup:
    """Several chapters, each folded, inside one."""
    one = Markup('<details id="{}"><summary>{}</summary>\n{}</details>\n')
    return Markup("").join(one.format(part.name, for_terminal(part.title), Markup(part.html)) for part in parts)  # noqa: S704 - made by `_html`


def _data(result: Comparison) -> WordedSection:
    left_out = [f"{site}: {why}" for site, why in result.sites_left_out.items()]
    sinks = [] if result.sinks is None else [sinks_in_words(result.sinks)]
    return WordedSection(
        "data",
        "Data and controls",
        [f"{result.samples} samples ({result.tokens} tokens) from {result.data}.", *result.data_notes, *sinks],
        notes=how_sure(result),
        left_out=left_out,
    )
