"""Panels of a figure: how many stand beside each other, what fits on a page, their titles with remarks, and one legend above them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted, text_width_pt, wrapped
from repdrift.report.style import GREY, legend_columns

LEGEND_LINE_IN = 0.135
_LEGEND_EDGE_IN = 0.08
_REMARK_LINE_PT = 8.6
_MOST_REMARK_LINES = 3


@dataclass(frozen=True)
class PanelPlan:
    """The arrangement of panels of one size: the number that is shown, and how they stand."""

    wanted: int
    shown: int
    columns: int
    height_in: float

    @property
    def rows(self) -> int:
        """The number of rows."""
        return math.ceil(self.shown / self.columns)

    @property
    def room(self) -> float:
        """The width of a panel as a share of the figure's."""
        return 1 / self.columns

    @property
    def width_pt(self) -> float:
        """The width in points that the title of a panel may take."""
        return 72 * page_width_in() / self.columns - 50

    @property
    def left_out(self) -> int:
        """The number of panels that do not fit on a page."""
        return self.wanted - self.shown

    def says_what_is_left_out(self, where: str) -> str:
        """A sentence for the caption, with a space before it; empty if all panels are shown. where: what holds the others."""
        return f" The first {self.shown} of {self.wanted} panels; {where}." if self.left_out else ""


def panel_plan(
    count: int, height_in: float, *, least_in: float = 2.4, most_columns: int = 2, besides_in: float = 0.8
) -> PanelPlan:
    """Arrange panels so that none is narrower than `least_in` where there are several columns, and all fit on a page.

    height_in: of one panel with its title and labels. besides_in: room for the legend and what else is not a panel.
    """
    columns = max(1, min(count, most_columns, int(page_width_in() / least_in)))
    rows = max(1, int((MOST_HEIGHT_IN - besides_in) / height_in))
    shown = min(count, columns * rows)
    # As few columns as the same number of rows needs: four panels stand as two and two, not as three and one.
    columns = math.ceil(shown / math.ceil(shown / columns)) if shown else columns
    return PanelPlan(count, shown, columns, height_in)


def draw_grid(figure: Figure | SubFigure, plan: PanelPlan, **shared: Any) -> list[Axes]:
    """Make the panels of a plan. shared: `sharex`, `sharey`."""
    grid = list(figure.subplots(plan.rows, plan.columns, squeeze=False, **shared).flat)
    for axes in grid[plan.shown :]:
        axes.remove()
    return grid[: plan.shown]


def two_panels(figure: Figure, height_in: float, **shared: Any) -> tuple[Axes, Axes, PanelPlan]:
    """Make two panels: beside each other, or below each other where the figure has the width of a column.

    height_in: of one panel with its title and labels. shared: `sharey`.
    """
    columns = 1 if is_narrow() else 2
    first, second = figure.subplots(2 // columns, columns, **shared)
    return first, second, PanelPlan(2, 2, columns, height_in)


def label_outer(panels: Sequence[Axes], plan: PanelPlan) -> None:
    """Keep the label and the numbers of the x axis in rows of which some panel has none below it. Panels of one row are alike."""
    for position, axes in enumerate(panels):
        below = (position // plan.columns + 2) * plan.columns <= len(panels)
        axes.tick_params(labelbottom=not below)
        if below:
            axes.set_xlabel("")


def panel_title(axes: Axes, title: str, remarks: Sequence[str] = (), width_pt: float | None = None) -> None:
    """Write a title above a panel, and grey remarks on what it lacks between the two. width_pt: of the panel, which the title fits.

    title, remarks: our words and labels that `labels` made. A title that is too wide takes two lines, and is cut where they do not hold it.
    """
    width = 72 * page_width_in() - 34 if width_pt is None else width_pt
    lines = remark_lines(remarks, width)
    axes.set_title(
        "\n".join(title_lines(title, width)), loc="left", pad=4 + (3 + _REMARK_LINE_PT * len(lines) if lines else 0)
    )
    if lines:
        axes.annotate(
            "\n".join(lines), (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points", ha="left", va="bottom",
            fontsize=NOTE_PT, color=GREY, linespacing=1.2, annotation_clip=False,
        )  # fmt: skip


def title_lines(title: str, width_pt: float, most: int = 2) -> list[str]:
    """The lines of a title, broken between words; one that is cut inside a word where no words fit into so many lines."""
    lines = [line for part in title.split("\n") for line in wrapped(part, width_pt, FONT_PT)]
    words = max(title.split(), key=len, default="")
    if len(lines) <= most and text_width_pt([words], FONT_PT) <= width_pt:
        return lines
    return [_within(part, width_pt, FONT_PT) for part in title.split("\n")]


def remark_lines(remarks: Sequence[str], width_pt: float, most: int = _MOST_REMARK_LINES) -> list[str]:
    """The lines of remarks: as many as fit, and the number of the others."""
    for kept in range(len(remarks), 0, -1):
        more = f"{len(remarks) - kept} more" if kept < len(remarks) else ""
        lines = wrapped("; ".join([*remarks[:kept], more] if more else remarks[:kept]), width_pt, NOTE_PT)
        if len(lines) <= most:
            return lines
    return [_within(remarks[0], width_pt, NOTE_PT)] if remarks else []


def legend_above(
    figure: Figure | SubFigure, handles: Sequence[Artist], labels: Sequence[str], *, most: int = 6, title: str = ""
) -> float:
    """Put one legend above all panels, below a title if there is one. Returns the height in inches that it takes."""
    if not handles:
        if title:
            figure.suptitle(_within(title, 72 * page_width_in() - 12, FONT_PT), fontsize=FONT_PT)
        return 0.2 if title else 0.0
    width = 72 * page_width_in() - 40
    shown = [label if text_width_pt([label], NOTE_PT) <= width else _within(label, width, NOTE_PT) for label in labels]
    columns = legend_columns(shown, NOTE_PT, most=most)
    above = {"title": _within(title, 72 * page_width_in() - 12, FONT_PT), "title_fontsize": FONT_PT} if title else {}
    figure.legend(list(handles), shown, loc="outside upper center", ncols=columns, **above)
    return _LEGEND_EDGE_IN + LEGEND_LINE_IN * (math.ceil(len(shown) / columns) + bool(title))


def _within(label: str, width_pt: float, size_pt: float) -> str:
    """A label that was made by `labels`, cut where it is too wide."""
    return fitted(label.replace(r"\$", "$"), width_pt, size_pt)
