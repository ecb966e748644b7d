"""Contents of a table of results, whatever it is written as: cells with their uncertainty, footnotes, caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

CellKind = Literal["estimate", "percent", "interval", "percent interval", "p", "text"]
"""How a cell is written: a number with its spread, a share in percent, the two ends of an interval, a p-value, or words."""


@dataclass(frozen=True)
class Cell:
    """One cell. value, spread: of an estimate. low, high: of an interval. notes: what changes how it is read, or why it is missing.

    A cell without a value, or without ends, is missing and shown as a dash.
    """

    value: float | None = None
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    text: str = ""
    notes: Sequence[str] = ()

    def missing(self, kind: CellKind) -> bool:
        """Tells whether the cell has nothing to show as that kind."""
        if kind == "text":
            return not self.text
        if kind in ("interval", "percent interval"):
            return self.low is None or self.high is None
        return self.value is None


@dataclass(frozen=True)
class Column:
    """One column. notes: footnotes of its head, such as what a p is about. exact: its name in a csv file."""

    head: str
    kind: CellKind
    exact: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Group:
    """Neighbouring columns under one head; without a head they stand alone."""

    head: str
    columns: Sequence[Column]


@dataclass(frozen=True)
class Row:
    """One row. names: one for each name head. cells: one for each column. begins: whether a line stands above it."""

    names: Sequence[str]
    cells: Sequence[Cell]
    begins: bool = False


@dataclass(frozen=True)
class ResultsTable:
    """A table with its caption. label: for references in LaTeX. Names are plain texts, which are escaped where the table is written."""

    caption: str
    label: str
    name_heads: Sequence[str]
    groups: Sequence[Group]
    rows: Sequence[Row]
    general_notes: Sequence[str] = field(default=())

    @property
    def columns(self) -> list[Column]:
        """The columns of all groups."""
        return [column for group in self.groups for column in group.columns]


class Footnotes:
    """Footnotes in the order in which their marks come, each once: a, b, ..., z, aa, ab."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def marks(self, notes: Sequence[str]) -> list[str]:
        """Returns the marks of these notes, new ones at the end of the row of letters."""
        return [self._marks.setdefault(note, _letters(len(self._marks))) for note in notes]

    @property
    def found(self) -> list[tuple[str, str]]:
        """Mark and note of every footnote."""
        return [(mark, note) for note, mark in self._marks.items()]


def _letters(place: int) -> str:
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
