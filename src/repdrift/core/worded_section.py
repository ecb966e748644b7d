"""One part of a result in words: sentences that answer first, then tables of texts. Summary, page and terminal render it alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from repdrift.core.words import markdown_text, short_number

SHADES = 9
"""Steps in which tokens are shaded, from 0 to the highest value of the scale."""


@dataclass(frozen=True)
class CaptionedTable:
    """A table of texts with a title and a caption. rows: one text for each column of the header."""

    title: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class StripToken:
    """One token of a strip. text: on one line; a token without text of its own has a dot. value: None where it has none."""

    text: str
    value: float | None
    shade: int | None
    """0 to SHADES - 1; None where there is no value."""
    words: str
    """The value in words."""


@dataclass(frozen=True)
class TokenStrip:
    """One text, token by token, shaded by a number of each. tokens: pieces that join to the text, with their values; None: has none.

    highest: the end of the scale, which begins at 0. unit: of the values, for people. caption: says the highest values, for readers who
    do not see the shades.
    """

    title: str
    tokens: Sequence[tuple[str, float | None]]
    caption: str
    highest: float
    unit: str = "nats"

    @property
    def shaded(self) -> list[StripToken]:
        """The tokens as they are shown."""
        return [
            StripToken(_visible(text), value, self._shade(value), self._words(value)) for text, value in self.tokens
        ]

    def _shade(self, value: float | None) -> int | None:
        if value is None:
            return None
        return min(SHADES - 1, max(0, round((SHADES - 1) * value / self.highest))) if self.highest > 0 else 0

    def _words(self, value: float | None) -> str:
        return "not predicted" if value is None else f"{short_number(value)} {self.unit}"


def _visible(text: str) -> str:
    return text.replace("\r\n", "↵").replace("\n", "↵").replace("\r", "↵").replace("\t", "→") or "·"


@dataclass(frozen=True)
class WordedSection:
    """A section of a report, as plain text that is escaped where it is rendered.

    name: as in the options, and the section's anchor on the page. answer: what was found, in whole sentences, the most important first.
    notes: sentences that change how the numbers are read, and how they were measured. left_out: what has no numbers, with the reason.
    strips: texts with shaded tokens, which Markdown and the terminal cannot show; a table has the tokens with the highest values.
    """

    name: str
    title: str
    answer: Sequence[str] = ()
    tables: Sequence[CaptionedTable] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = field(default=())
    strips: Sequence[TokenStrip] = ()


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
