"""Docstrings of repdrift for autodoc, and `{public-names} MODULE`: everything in the `__all__` of a module.

Docstrings are plain text with `code` in single backticks and indented blocks; autodoc reads reStructuredText.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_CODE = re.compile(r"(`[^`]+`)")
_SPECIAL = re.compile(r"([\\*_|`<>])")


def as_restructured(lines: list[str]) -> list[str]:
    """Returns the lines of a docstring as reStructuredText: backticks as code, indented blocks as they stand, signs escaped."""
    made: list[str] = []
    inside = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside:
            made += ["", "::", ""]
        if inside and line and not indented:
            made.append("")
        inside = indented or (inside and not line)
        made.append(line if inside else _escaped(line))
    return made


def _escaped(line: str) -> str:
    parts = _CODE.split(line)
    return "".join(f"``{p[1:-1].strip()}``" if i % 2 else _SPECIAL.sub(r"\\\1", p) for i, p in enumerate(parts))


def _process(_app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    lines[:] = as_restructured(lines)


def _signature(
    _app: Sphinx, _what: str, _name: str, thing: Any, _options: object, *_: object
) -> tuple[str, str | None] | None:
    """Show annotations as the source has them: types that numpy writes over ten lines are `Array` there."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    parameters = [p for p in found.parameters.values() if p.name not in {"self", "cls"}]
    text = str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    returns = None if found.return_annotation is inspect.Signature.empty else str(found.return_annotation)
    return re.sub(r"(: |-> )'([^']+)'", r"\1\2", text), returns


def _skip(_app: Sphinx, _what: str, name: str, _thing: object, skip: bool, _options: object) -> bool | None:
    """Leave out what pydantic and others give to every class."""
    if name in vars(BaseModel) or name in {"model_post_init", "model_config"}:
        return True
    return skip or None


_shown: dict[int, tuple[str, str]] = {}
"""Where each class or function was shown first: a second time it is no target of links."""


class PublicNames(SphinxDirective):
    """A class, function or constant for every name in `__all__`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        text = ["```{eval-rst}"]
        for public in sorted(importlib.import_module(name).__all__, key=str.casefold):
            text += _directive(name, public)
        return self.parse_text_to_nodes("\n".join([*text, "```"]))


def _directive(module: str, public: str) -> Iterator[str]:
    thing = getattr(importlib.import_module(module), public)
    again = ["   :no-index:"] if _shown.setdefault(id(thing), (module, public)) != (module, public) else []
    if inspect.isclass(thing):
        yield from (f".. autoclass:: {module}.{public}", *again, "   :members:", "   :show-inheritance:", "")
    elif inspect.isroutine(thing):
        yield from (f".. autofunction:: {module}.{public}", *again, "")
    else:
        shown = repr(thing)
        yield from (f".. py:data:: {module}.{public}", "")
        if len(shown) < 200 and " object at " not in shown:
            yield from (f"   Value: ``{shown}``", "")
        for line in as_restructured(_words_of_constant(module, public).splitlines()):
            yield f"   {line}"
        yield ""


def _words_of_constant(module: str, public: str) -> str:
    """Returns the string that stands below the constant's assignment, in the file that makes it; empty without one."""
    tree = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8"))
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.ImportFrom) and node.module and public in [a.name for a in node.names]:
            return _words_of_constant(node.module, public)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(t, ast.Name) and t.id == public for t in targets):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return inspect.cleandoc(str(after.value.value)) if is_text else ""
    return ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and what autodoc asks."""
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
