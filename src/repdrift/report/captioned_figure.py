"""The caption below the panels of a comparison's figure, so that whatever changes how it is read goes with the picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from repdrift.core.records.comparison import COMPARISON_SUMMARY
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.labels import NOTE_PT, plain, wrapped
from repdrift.report.style import INK

LINE_IN = 0.12
_MARGIN = 0.012
"""Left and right of the caption, as a share of the width."""
_LONGEST_SENTENCE = 700
_MOST_LINES = {False: 24, True: 15}
"""In a wide and in a narrow figure."""


def caption_lines_of(sentences: Sequence[str]) -> list[str]:
    """The lines of a caption, wrapped to the figure's width; where there are too many, the last one says how many are left out.

    A sentence that is given twice stands once.
    """
    width = 72 * page_width_in() * (1 - 2 * _MARGIN) - 4
    said = [plain(sentence, _LONGEST_SENTENCE) for sentence in dict.fromkeys(sentences)]
    lines = [line for sentence in said for line in wrapped(sentence, width, NOTE_PT)]
    most = _MOST_LINES[is_narrow()]
    if len(lines) <= most:
        return lines
    return [
        *lines[: most - 1],
        f"… {len(lines) - most + 1} more lines in {COMPARISON_SUMMARY}",
    ]


def put_caption(figure: Figure, lines: Sequence[str]) -> float:
    """Write the lines of `caption_lines_of` below the panels. Returns the height in inches that they take."""
    if not lines:
        return 0.0
    figure.supxlabel("\n".join(lines), x=_MARGIN, ha="left", fontsize=NOTE_PT, color=INK, linespacing=1.2)
    return LINE_IN * len(lines) + 0.06
