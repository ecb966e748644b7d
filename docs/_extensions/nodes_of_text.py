"""Docutils nodes of plain text with `code` in backticks, as help texts, field descriptions and captions have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docutils import nodes

_CODE = re.compile(r"`([^`]+)`")


def inline(text: str) -> list[nodes.Node]:
    """Returns text and inline code."""
    found: list[nodes.Node] = []
    for place, part in enumerate(_CODE.split(text)):
        if part:
            found.append(nodes.literal(text=part) if place % 2 else nodes.Text(part))
    return found


def paragraph(text: str) -> nodes.paragraph:
    """Returns a paragraph."""
    return nodes.paragraph("", "", *inline(text))


def code_block(text: str, language: str) -> nodes.literal_block:
    """Returns a block of code or of output."""
    return nodes.literal_block(text, text, language=language)


def section(document: nodes.document, title: str, name: str, *, code: bool = False) -> nodes.section:
    """Returns an empty section with its heading. name: of its anchor."""
    heading = nodes.title("", "", nodes.literal(text=title)) if code else nodes.title(title, title)
    made = nodes.section("", heading, ids=[name], names=[nodes.fully_normalize_name(name)])
    document.note_implicit_target(made)
    return made


def definitions(entries: Iterable[tuple[Sequence[nodes.Node], Sequence[nodes.Node]]]) -> nodes.definition_list:
    """Returns a list of terms, each with what it means below it: readable on a narrow screen too."""
    listed = nodes.definition_list()
    for term, meaning in entries:
        listed += nodes.definition_list_item("", nodes.term("", "", *term), nodes.definition("", *meaning))
    return listed
