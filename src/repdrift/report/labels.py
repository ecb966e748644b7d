"""Texts in figures: names from outside as labels, shortened to the room that there is, and sentences in lines."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import matplotlib as mpl
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT_PT = 8
NOTE_PT = 7
"""The smallest text of a figure."""
_LONGEST_NAME = 30
_BEFORE = 3
"""Characters of a name that stay before the first one in which it differs from others."""
_TIED = re.compile(
    r"(?<=\d) (?=%)|(?<=[=<>]) (?=[\d<-])|(?<=\w) (?=[=<>] [\d<-])|(?<=\b[Ll]ayer) (?=\d)|(?<=\d) (?=to \d)|(?<=to) (?=\d)"
)
"""Spaces at which a line never breaks: `-26.2 %`, `p = 0.03`, `layer 3`, `12 to 31`."""


def plain(text: str, longest: int = _LONGEST_NAME) -> str:
    """A text from outside as a label: one line, shortened in the middle if it is long, and without formulas."""
    line = one_line(text)
    if len(line) > longest:
        line = f"{line[: longest // 2]}…{line[1 - longest // 2 :]}"
    return without_formulas(line)


def one_line(text: str) -> str:
    """A text from outside in one line of printable characters; `(no name)` for an empty one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "(no name)"


def without_formulas(line: str) -> str:
    """A line that matplotlib shows as it is, also where it holds dollar signs."""
    return line.replace("$", r"\$")


def fitted(text: str, width_pt: float, size_pt: float = NOTE_PT) -> str:
    """A text from outside as a label that is no wider than `width_pt`: shortened in the middle, never to fewer than 4 characters."""
    line = one_line(text)
    if text_width_pt([line], size_pt) <= width_pt:
        return without_formulas(line)
    low, high = 3, len(line)
    while low < high:  # the largest number of characters that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width_pt([_cut(line, middle)], size_pt) <= width_pt else (low, middle - 1)
    return without_formulas(_cut(line, low))


def fitted_names(names: Sequence[str], width_pt: float, size_pt: float = NOTE_PT) -> list[str]:
    """Names as labels no wider than `width_pt`. Names that differ stay different: they are cut around the place where they do."""
    found = [fitted(name, width_pt, size_pt) for name in names]
    for _ in range(2):
        alike: defaultdict[str, list[int]] = defaultdict(list)
        for position, label in enumerate(found):
            alike[label].append(position)
        for positions in alike.values():
            lines = [one_line(names[position]) for position in positions]
            if len(set(lines)) > 1:
                for position, label in zip(positions, _told_apart(lines, width_pt, size_pt), strict=True):
                    found[position] = label
    return found


def _told_apart(lines: Sequence[str], width_pt: float, size_pt: float) -> list[str]:
    start = max(0, _shared(lines) - _BEFORE)
    after = _shared([line[::-1] for line in lines])
    cores = [f"…{line[start : max(start + _BEFORE + 1, len(line) - after + _BEFORE)]}…" for line in lines]
    labels = [fitted(core, width_pt, size_pt) for core in cores]
    if len(set(labels)) == len(set(lines)):
        return labels
    ends = [f" ({number})" for number in range(1, len(lines) + 1)]
    room = width_pt - text_width_pt(ends, size_pt)
    return [fitted(line, room, size_pt) + end for line, end in zip(lines, ends, strict=True)]


def _shared(lines: Sequence[str]) -> int:
    """The number of characters with which all lines begin."""
    return next(
        (n for n, letters in enumerate(zip(*lines, strict=False)) if len(set(letters)) > 1), min(map(len, lines))
    )


def _cut(line: str, kept: int) -> str:
    """A line with its middle left out, so that `kept` characters remain beside the sign of omission."""
    return f"{line[: (kept + 1) // 2]}…{line[len(line) - kept // 2 :]}" if kept < len(line) else line


def text_width_pt(texts: Sequence[str], size_pt: float = FONT_PT) -> float:
    """Width in points of the widest of the labels in the current font; 0 if there is none."""
    family = tuple(mpl.rcParams["font.family"])
    return max((_width_pt(text, family, size_pt) for text in texts), default=0.0)


@lru_cache(maxsize=20_000)
def _width_pt(text: str, family: tuple[str, ...], size_pt: float) -> float:
    font = FontProperties(family=list(family), size=size_pt)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def wrapped(text: str, width_pt: float, size_pt: float = FONT_PT) -> list[str]:
    """The lines of a text that is to be no wider than `width_pt` points; a word that is wider by itself is cut into several.

    A number stays with its unit or sign: `-26.2 %` and `p = 0.03` never stand on two lines.
    """
    lines = [""]
    for word in re.split(r"[ \t\n]+", _TIED.sub("\N{NO-BREAK SPACE}", text).strip()):
        rest = word
        while rest:
            joined = f"{lines[-1]} {rest}".strip(" ")
            if text_width_pt([joined], size_pt) <= width_pt:
                lines[-1] = joined
                break
            if lines[-1]:
                lines.append("")
                continue
            fits = next(n for n in range(len(rest), 0, -1) if n == 1 or text_width_pt([rest[:n]], size_pt) <= width_pt)
            lines[-1], rest = rest[:fits], rest[fits:]
            if rest:
                lines.append("")
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
