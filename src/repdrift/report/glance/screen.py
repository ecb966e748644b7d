"""The terminal that a command ends on: its width, what its encoding can show, and texts that keep to both."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from repdrift.core.shown_text import for_terminal

NARROWEST, WIDEST, UNKNOWN_WIDTH = 80, 120, 100
MOST_LINES = 25
_BLOCKS = "▁▂▃▄▅▆▇█"
_LETTERS = ".:-=+*%#"
_WIDE_SIGNS = "…±·—"


@dataclass(frozen=True)
class Screen:
    """A terminal. width: in cells, of which a Chinese character takes two. unicode: whether it shows block characters and dots."""

    width: int = UNKNOWN_WIDTH
    unicode: bool = True

    @property
    def marks(self) -> str:
        """The marks of a sparkline, from the lowest to the highest."""
        return _BLOCKS if self.unicode else _LETTERS

    @property
    def gap(self) -> str:
        """The mark of a layer without a value."""
        return "·" if self.unicode else "?"

    @property
    def plus_minus(self) -> str:
        """The sign between a mean and its spread."""
        return "±" if self.unicode else "+-"

    @property
    def cut(self) -> str:
        """The sign that a text goes on elsewhere."""
        return "…" if self.unicode else "..."


def screen_of(stream: TextIO) -> Screen:
    """Returns the terminal behind a stream; of an unknown width where there is none, unless the environment names COLUMNS."""
    columns = shutil.get_terminal_size((UNKNOWN_WIDTH, 24)).columns
    return Screen(min(WIDEST, max(NARROWEST, columns)), _can_show(stream))


def _can_show(stream: TextIO) -> bool:
    try:
        f"{_BLOCKS}{_WIDE_SIGNS}".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def one_line(text: str) -> str:
    """Returns a text from outside on one line, without what a terminal would obey."""
    return " ".join(for_terminal(text).split())


def fitted(text: str, width: int, screen: Screen) -> str:
    """Returns a text in `width` cells at most; one that is longer ends with a sign that it was cut."""
    line = one_line(text)
    if cell_len(line) <= width:
        return line
    return set_cell_size(line, max(0, width - len(screen.cut))).rstrip() + screen.cut


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Returns a text filled up with spaces to `width` cells."""
    space = " " * max(0, width - cell_len(text))
    return space + text if right else text + space


def wrapped(text: str, screen: Screen, *, first: str = "", most: int | None = None) -> list[str]:
    """Returns a text in lines of the terminal's width. first: stands before the first line; the others are indented as far.

    most: the most lines; a text that is longer ends with a sign that it was cut.
    """
    room = screen.width - cell_len(first)
    lines: list[str] = []
    line = ""
    for word in _words(text, room):
        if line and cell_len(line) + 1 + cell_len(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    if most is not None and len(lines) > most:
        kept = lines[:most]
        end = kept[-1]
        if cell_len(end) + 1 + len(screen.cut) > room:
            end = end.rpartition(" ")[0] or set_cell_size(end, room - 1 - len(screen.cut))
        lines = [*kept[:-1], f"{end} {screen.cut}"]
    indent = " " * cell_len(first)
    return [f"{first if place == 0 else indent}{line}".rstrip() for place, line in enumerate(lines)]


def _words(text: str, room: int) -> Sequence[str]:
    """The words of a text; a number with its percent sign, and `p = 0.03`, are one. A word that is wider than the room is broken."""
    found: list[str] = []
    for word in re.split(r"(?<![=<]) (?![%=<])", one_line(text)):
        rest = word
        while cell_len(rest) > room:
            head = set_cell_size(rest, room).rstrip()
            found.append(head)
            rest = rest[len(head) :]
        found.append(rest)
    return found
