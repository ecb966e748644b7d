"""Figures of a comparison with their caption below the panels, so that whatever changes how they are read goes with the picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure, SubFigure

from repdrift.core.records.comparison import COMPARISON_SUMMARY
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import plain, wrapped
from repdrift.report.style import INK

_LINE_IN = 0.12
_MARGIN = 0.015
"""Left and right of the caption, as a share of the width."""
_PT = 6.5
_LONGEST_SENTENCE = 700
_MOST_LINES = 24


def caption_lines_of(sentences: Sequence[str]) -> list[str]:
    """The lines of a caption, wrapped to the figure's width; where there are too many, the last one says how many are left out."""
    width = 72 * page_width_in() * (1 - 2 * _MARGIN)
    said = [plain(sentence, _LONGEST_SENTENCE) for sentence in sentences]
    lines = [line for sentence in said for line in wrapped(sentence, width, _PT)]
    if len(lines) <= _MOST_LINES:
        return lines
    return [
        *lines[: _MOST_LINES - 1],
        f"… {len(lines) - _MOST_LINES + 1} more lines: see the cautions in {COMPARISON_SUMMARY}",
    ]


def captioned_figure(
    heights: Sequence[float], caption: Sequence[str], *, spare: float = 0.0
) -> tuple[Figure, list[SubFigure]]:
    """Returns a figure of full width and its parts from top to bottom, one for each of `heights`, with a caption below them.

    heights, spare: inches; spare is added to the figure's height and shared by all parts. caption: the lines of `caption_lines_of`; it
    takes no room if there are none.
    """
    below = _LINE_IN * (len(caption) + 1) if caption else 0.0
    figure = Figure(figsize=(page_width_in(), sum(heights) + below + spare))
    ratios = (*heights, below) if caption else tuple(heights)
    parts = list(figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False).flat)
    if caption:
        parts.pop().text(_MARGIN, 1, "\n".join(caption), fontsize=_PT, color=INK, va="top", linespacing=1.25)
    return figure, parts
