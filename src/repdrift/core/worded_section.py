"""One part of a result in words: sentences that answer first, then tables of texts. Summary, page and terminal render it alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from repdrift.core.words import markdown_text


@dataclass(frozen=True)
class CaptionedTable:
    """A table of texts with a title and a caption. rows: one text for each column of the header."""

    title: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class WordedSection:
    """A section of a report, as plain text that is escaped where it is rendered.

    name: as in the options, and the section's anchor on the page. answer: what was found, in whole sentences, the most important first.
    notes: sentences that change how the numbers are read, and how they were measured. left_out: what has no numbers, with the reason.
    """

    name: str
    title: str
    answer: Sequence[str] = ()
    tables: Sequence[CaptionedTable] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = field(default=())


def section_markdown(section: WordedSection, *, level: int = 2) -> list[str]:
    """Returns the lines of a section in Markdown. level: of its heading; its tables stand one level below."""
    lines = [f"{'#' * level} {markdown_text(section.title)}", ""]
    lines += _listed(section.answer)
    for table in section.tables:
        if not table.rows:
            continue
        lines += [f"{'#' * (level + 1)} {markdown_text(table.title)}", ""]
        lines += [markdown_text(table.caption), ""] if table.caption else []
        lines += [_row(table.header), "|---" * len(table.header) + "|", *map(_row, table.rows), ""]
    lines += _listed(section.notes)
    lines += ["Left out:", "", *_listed(section.left_out)] if section.left_out else []
    return lines


def _listed(sentences: Sequence[str]) -> list[str]:
    return [*(f"- {markdown_text(sentence)}" for sentence in sentences), ""] if sentences else []


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_text, cells))} |"
