"""A table of a few rows that keeps to the width of a terminal: names are cut before numbers, and numbers never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from repdrift.report.glance.screen import Screen, fitted, one_line, padded
from repdrift.report.glance.sparkline import SparkScale, spark_scale

_GAP = 2
_LEAST_NAME = 8
_LEAST_MARKS = 8
_MOST_MARKS = 48


@dataclass(frozen=True)
class GlanceRow:
    """One row. names: texts from outside, which may be cut. numbers: one for each head. drifts: by layer."""

    names: Sequence[str]
    numbers: Sequence[str]
    drifts: Sequence[float | None]


@dataclass(frozen=True)
class GlanceTable:
    """The rows of a table. optional: heads of numbers that are left out where the terminal is too narrow, the first of them last.

    notes: sentences below the table, each on as few lines as it takes.
    """

    name_heads: Sequence[str]
    heads: Sequence[str]
    rows: Sequence[GlanceRow]
    layers: Sequence[int]
    optional: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class DrawnTable:
    """Lines of a table, the words for its sparklines, and the heads that found no room."""

    lines: list[str]
    scale: str
    left_out: list[str]


def drawn_table(table: GlanceTable, screen: Screen) -> DrawnTable:
    """Returns the table in lines of the terminal's width."""
    marks = min(len(table.layers), _LEAST_MARKS)
    kept = list(range(len(table.heads)))
    left_out: list[str] = []
    names_least = sum(
        min(_LEAST_NAME, width) + _GAP for width in _widths(table.name_heads, [r.names for r in table.rows])
    )
    widths = _widths(table.heads, [row.numbers for row in table.rows])
    for head in reversed(table.optional):
        if names_least + sum(widths[i] + _GAP for i in kept) + marks <= screen.width:
            break
        place = table.heads.index(head)
        kept.remove(place)
        left_out.insert(0, head)
    numbers_take = sum(widths[i] + _GAP for i in kept)
    name_widths = _widths(table.name_heads, [row.names for row in table.rows])
    head_width = cell_len(_SPARK_HEAD)
    room = screen.width - numbers_take - max(marks, min(head_width, screen.width)) - _GAP * len(name_widths)
    name_widths = _shrunk(name_widths, room)
    room_for_marks = screen.width - numbers_take - sum(width + _GAP for width in name_widths)
    scale = spark_scale([row.drifts for row in table.rows], min(_MOST_MARKS, room_for_marks))
    names = [
        [fitted(name, width, screen) for name, width in zip(r.names, name_widths, strict=True)] for r in table.rows
    ]
    heads = [fitted(head, width, screen) for head, width in zip(table.name_heads, name_widths, strict=True)]
    lines = [_line(heads, [table.heads[i] for i in kept], _SPARK_HEAD, name_widths, [widths[i] for i in kept])]
    for row, named in zip(table.rows, names, strict=True):
        numbers = [one_line(row.numbers[i]) for i in kept]
        spark = scale.sparkline(row.drifts, screen)
        lines.append(_line(named, numbers, spark, name_widths, [widths[i] for i in kept]))
    return DrawnTable(lines, _scale_words(scale, table, screen), left_out)


_SPARK_HEAD = "by layer"


def _scale_words(scale: SparkScale, table: GlanceTable, screen: Screen) -> str:
    return scale.in_words(table.layers, screen) if table.layers else ""


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(cell_len(one_line(text)) for text in (head, *(row[i] for row in rows))) for i, head in enumerate(heads)]


def _shrunk(widths: Sequence[int], room: int) -> list[int]:
    """Takes from the widest column first until all fit into the room; none gets narrower than the least."""
    found = list(widths)
    while sum(found) > room and max(found, default=0) > _LEAST_NAME:
        found[found.index(max(found))] -= 1
    return found


def _line(
    names: Sequence[str], numbers: Sequence[str], spark: str, name_widths: Sequence[int], widths: Sequence[int]
) -> str:
    cells = [padded(name, width) for name, width in zip(names, name_widths, strict=True)]
    cells += [padded(number, width, right=True) for number, width in zip(numbers, widths, strict=True)]
    return (" " * _GAP).join([*cells, spark]).rstrip()
