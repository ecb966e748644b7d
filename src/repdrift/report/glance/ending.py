"""The lines of a command's end, fitted to the height of a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from repdrift.core.words import counted, listed
from repdrift.report.glance.cautions import Caution, caution_lines
from repdrift.report.glance.screen import MOST_LINES, Screen, one_line, wrapped
from repdrift.report.glance.small_table import GlanceTable, drawn_table


@dataclass(frozen=True)
class _Room:
    """Most lines of the headline, of each sentence before it, and of each caution."""

    headline: int
    each_first: int
    each_caution: int


_ROOMS = (_Room(5, 4, 2), _Room(5, 4, 1), _Room(4, 4, 1))
_LEAST_ROOM = _Room(3, 2, 1)
"""How a screen is shared out, from the first choice on; the least one where rows of the table have to be left out."""


@dataclass(frozen=True)
class Ending:
    """The end of a command. headlines, tables: the fullest first; the first one that fits is shown.

    places: what lies where, in the order to look. all_cautions_in: the file that has every caution. first: sentences that stand before
    every number, since they change how each is read.
    """

    headlines: Sequence[str]
    tables: Sequence[GlanceTable]
    cautions: Sequence[Caution]
    places: Mapping[str, str]
    all_cautions_in: str
    first: Sequence[str] = ()


def ending_lines(ending: Ending, screen: Screen) -> list[str]:
    """Returns the lines, 25 at most. What has no room is named with the file that has it."""
    looking = ["", *_places(ending.places)]
    heights = sum(_height(line, screen) for line in looking)
    for table in ending.tables:
        lines = _table_lines(table, screen, ending.all_cautions_in)
        for room in _ROOMS:
            above, below = _above(ending, screen, room), _cautions(ending, screen, room.each_caution)
            if len(above) + len(lines) + len(below) + heights <= MOST_LINES:
                return [*above, *lines, *below, *looking]
    room = _LEAST_ROOM
    above, below = _above(ending, screen, room), _cautions(ending, screen, room.each_caution)
    lines = _with_fewer_rows(ending, screen, MOST_LINES - len(above) - len(below) - heights)
    return [*above, *lines, *below, *looking]


def _above(ending: Ending, screen: Screen, room: _Room) -> list[str]:
    first = [line for said in ending.first for line in wrapped(said, screen, first="mind: ", most=room.each_first)]
    return [*first, *_headline(ending.headlines, screen, room.headline), ""]


def _cautions(ending: Ending, screen: Screen, lines_each: int) -> list[str]:
    """Returns the cautions below an empty line; none if there are none."""
    lines = caution_lines(ending.cautions, screen, where=ending.all_cautions_in, lines_each=lines_each)
    return ["", *lines] if lines else []


def _headline(headlines: Sequence[str], screen: Screen, most: int) -> list[str]:
    """Returns the first headline that has room; where none has, the last one, cut."""
    for headline in headlines:
        if len(lines := wrapped(headline, screen)) <= most:
            return lines
    return wrapped(headlines[-1], screen, most=most)


def _with_fewer_rows(ending: Ending, screen: Screen, room: int) -> list[str]:
    """Returns the last table with as many rows as fit, and how many there are beside them."""
    last = ending.tables[-1]
    rows = list(last.rows)
    while len(rows) > 1 and len(_cut_lines(last, rows, screen, ending.all_cautions_in)) > room:
        rows.pop()
    return _cut_lines(last, rows, screen, ending.all_cautions_in)


def _cut_lines(table: GlanceTable, rows: Sequence[object], screen: Screen, where: str) -> list[str]:
    left = len(table.rows) - len(rows)
    shown = replace(table, rows=table.rows[: len(rows)])
    more = f"{counted(left, 'more row')} in {where}" if left else ""
    return _table_lines(shown, screen, where, more)


def _table_lines(table: GlanceTable, screen: Screen, where: str, more: str = "") -> list[str]:
    drawn = drawn_table(table, screen)
    narrow = f"{listed(drawn.left_out)}: in {where}, this screen is too narrow" if drawn.left_out else ""
    said = "; ".join(note for note in (drawn.scale, *table.notes, narrow, more) if note)
    return [*drawn.lines, *(wrapped(f"{said}.", screen) if said else [])]


def _places(places: Mapping[str, str]) -> list[str]:
    width = max((cell_len(name) for name in places), default=0) + 1
    return [f"{f'{name}:':<{width}} {one_line(path)}" for name, path in places.items()]


def _height(line: str, screen: Screen) -> int:
    """Returns the lines that a terminal needs for a path, which is not broken so that it can be copied."""
    return max(1, -(-cell_len(line) // screen.width))
