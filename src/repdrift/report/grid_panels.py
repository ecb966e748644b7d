"""Heatmaps of similarity, every layer of one model against every layer of another, with the best match of each layer marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from repdrift.report.figure_size import is_narrow
from repdrift.report.labels import NOTE_PT, fitted_names, text_width_pt
from repdrift.report.panels import PanelPlan, draw_grid, panel_plan, panel_title
from repdrift.report.style import GREY, HATCH

_PANEL_IN = 1.95
_TICKS = 8
_FROM_ZERO = 0.5
"""The colours begin at 0 if some similarity is below this, else at the smallest one, so that flat grids show their differences."""


@dataclass(frozen=True)
class GridPanel:
    """One heatmap. values: (rows, columns), NaN where missing. best: the best matches to mark."""

    title: str
    row_label: str
    column_label: str
    row_layers: Sequence[int]
    column_layers: Sequence[int]
    values: np.ndarray
    best: Sequence[tuple[int, int, bool]] = ()
    """Column layer, its best row layer, and whether that is told from all others."""
    remark: str = ""
    """Stands below the title, and tells the panel from others of this title."""


def grid_plan(count: int) -> PanelPlan:
    """The arrangement of so many heatmaps."""
    return panel_plan(count, _PANEL_IN, least_in=1.4, most_columns=3, besides_in=1.3)


def draw_panels(figure: Figure | SubFigure, panels: Sequence[GridPanel], plan: PanelPlan) -> float:
    """Draw the panels on one colour scale. A filled mark is a best match that is told from all others, an open one is not. Returns the height in inches."""
    shown = panels[: plan.shown]
    axes_of = draw_grid(figure, plan)
    known = np.concatenate([panel.values[np.isfinite(panel.values)] for panel in shown])
    least = float(known.min()) if known.size else 0.0
    scale = Normalize(min(0.0, least) if least < _FROM_ZERO else least, 1.0 if least < 1 else 1.0 + 1e-6)
    titles = fitted_names([panel.title for panel in shown], plan.width_pt + 6, NOTE_PT)
    for number, (axes, panel, title) in enumerate(zip(axes_of, shown, titles, strict=True)):
        _panel(axes, panel, scale, plan)
        panel_title(axes, title, [panel.remark] if panel.remark else [], plan.width_pt + 6)
        if number % plan.columns:
            axes.set_ylabel("")
    narrow = is_narrow()
    bar = figure.colorbar(
        ScalarMappable(scale, "viridis"),
        ax=axes_of,
        location="bottom" if narrow else "right",
        aspect=40,
        pad=0.015,
        fraction=0.03,
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label("debiased CKA")
    bar.locator = MaxNLocator(nbins=4)
    bar.update_ticks()
    return plan.rows * _PANEL_IN + (0.6 if narrow else 0.1)


def _panel(axes: Axes, panel: GridPanel, scale: Normalize, plan: PanelPlan) -> None:
    values = panel.values
    axes.imshow(values, cmap="viridis", norm=scale, aspect="auto", interpolation="nearest", origin="lower")
    for row, column in np.argwhere(~np.isfinite(values)):
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, hatch=HATCH, facecolor="white", edgecolor=GREY, linewidth=0)
        )
    for column, row, sure in panel.best:
        x, y = list(panel.column_layers).index(column), list(panel.row_layers).index(row)
        axes.plot(x, y, marker="o", markersize=min(3.5, 90 / len(panel.column_layers)), color="white", markeredgecolor="black", markeredgewidth=0.6,
                  fillstyle="full" if sure else "none")  # fmt: skip
    axes.set_xlabel(panel.column_label)
    axes.set_ylabel(panel.row_label)
    fit = max(2, int((plan.width_pt - 8) / (text_width_pt(["00"], NOTE_PT) + 6)))
    for axis, layers, most in (
        (axes.xaxis, panel.column_layers, min(_TICKS, fit)),
        (axes.yaxis, panel.row_layers, _TICKS),
    ):
        step = max(1, math.ceil(len(layers) / most))
        axis.set_ticks(list(range(0, len(layers), step)), [str(layer) for layer in list(layers)[::step]])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
