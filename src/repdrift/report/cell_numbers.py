"""Numbers in the cells of heatmaps: in all panels of a figure or in none, as the drawn cells are wide enough for every one of them or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text

from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import NOTE_PT, text_width_pt

_AROUND_PT = 3.0
"""Room beside a number, both sides together."""
_LINE_PT = NOTE_PT + 1.5
_BLACK_FROM = 0.179
"""Relative luminance from which on black has more contrast than white (WCAG 2)."""


@dataclass(frozen=True)
class CellNumber:
    """A number at its cell, with the colour of the cell."""

    row: int
    column: int
    text: str
    cell: Any


@dataclass(frozen=True)
class _Panel:
    axes: Axes
    rows: int
    columns: int
    widest_pt: float

    def fits(self) -> bool:
        """Tells from the panel as it is laid out now whether every number fits its cell."""
        box, points = self.axes.get_window_extent(), 72 / self.axes.figure.dpi
        return (
            box.width * points / self.columns >= self.widest_pt + _AROUND_PT
            and box.height * points / self.rows >= _LINE_PT
        )


class CellNumbers:
    """The numbers of all panels of one figure."""

    def __init__(self) -> None:
        self._panels: list[_Panel] = []
        self._hopeless = False

    def write(self, axes: Axes, rows: int, columns: int, numbers: Iterable[CellNumber]) -> None:
        """Adds the numbers of a panel. They are drawn if, at that time, those of every panel fit."""
        there = list(numbers)
        widest = text_width_pt([number.text for number in there], NOTE_PT)
        # So many columns never fit into a figure of this width, and artists cost time.
        self._hopeless |= widest + _AROUND_PT > 72 * page_width_in() / columns
        if self._hopeless or not there:
            return
        self._panels.append(_Panel(axes, rows, columns, widest))
        for number in there:
            text = _Number(
                number.column,
                number.row,
                number.text,
                ha="center",
                va="center",
                fontsize=NOTE_PT,
                color=ink_on(number.cell),
            )
            text.numbers = self
            text.set_in_layout(False)
            axes.add_artist(text)

    def mark_instead(self, axes: Axes, columns: Sequence[int], rows: Sequence[int], marker: str, **look: Any) -> None:
        """Adds marks at these cells that are drawn only where the numbers are not."""
        marks = _Instead(columns, rows, marker=marker, linestyle="none", **look)
        marks.numbers = self
        axes.add_line(marks)

    def fit(self) -> bool:
        """Tells whether every number of every panel fits its cell."""
        return not self._hopeless and bool(self._panels) and all(panel.fits() for panel in self._panels)


class _Number(Text):
    """A text that is drawn only where all numbers of its figure fit."""

    numbers: CellNumbers

    def draw(self, renderer: RendererBase) -> None:
        if self.numbers.fit():
            super().draw(renderer)


class _Instead(Line2D):
    """Marks that are seen only where the numbers of their figure do not fit."""

    numbers: CellNumbers

    def get_visible(self) -> bool:
        return super().get_visible() and not self.numbers.fit()


def ink_on(color: Any) -> str:
    """Black or white, whichever has more contrast on this colour."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if float(linear @ (0.2126, 0.7152, 0.0722)) >= _BLACK_FROM else "white"
