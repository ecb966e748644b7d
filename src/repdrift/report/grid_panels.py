"""Heatmaps of similarity, every layer of one model against every layer of another, with the best match of each layer marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import FONT_PT, plain
from repdrift.report.style import GREY, HATCH

MOST_PANELS = 9
_COLUMNS = 3
_PANEL_IN = 2.25
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


def draw_panels(panels: Sequence[GridPanel], title: str) -> Figure:
    """Draw the panels on one colour scale. A filled mark is a best match that is told from all others, an open one is not."""
    shown = panels[:MOST_PANELS]
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(page_width_in(), 0.6 + _PANEL_IN * rows * (_COLUMNS / max(columns, 2))))
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    known = np.concatenate([panel.values[np.isfinite(panel.values)] for panel in shown])
    least = float(known.min()) if known.size else 0.0
    scale = Normalize(min(0.0, least) if least < _FROM_ZERO else least, 1.0 if least < 1 else 1.0 + 1e-6)
    image = None
    for number, axes in enumerate(grid.flat):
        if number >= len(shown):
            axes.set_visible(False)
            continue
        image = _panel(axes, shown[number], scale)
    if image is not None:
        bar = figure.colorbar(image, ax=grid, pad=0.015, fraction=0.03)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.set_label("debiased CKA", fontsize=FONT_PT)
    figure.suptitle(title, fontsize=9)
    return figure


def _panel(axes: Axes, panel: GridPanel, scale: Normalize) -> Any:
    values = panel.values
    image = axes.imshow(values, cmap="viridis", norm=scale, aspect="auto", interpolation="nearest", origin="lower")
    for row, column in np.argwhere(~np.isfinite(values)):
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, hatch=HATCH, facecolor="white", edgecolor=GREY, linewidth=0)
        )
    for column, row, sure in panel.best:
        x, y = list(panel.column_layers).index(column), list(panel.row_layers).index(row)
        axes.plot(x, y, marker="o", markersize=3.5, color="white", markeredgecolor="black", markeredgewidth=0.6,
                  fillstyle="full" if sure else "none")  # fmt: skip
    axes.set_title(plain(panel.title), fontsize=FONT_PT)
    axes.set_xlabel(panel.column_label)
    axes.set_ylabel(panel.row_label)
    for axis, layers in ((axes.xaxis, panel.column_layers), (axes.yaxis, panel.row_layers)):
        step = max(1, math.ceil(len(layers) / _TICKS))
        axis.set_ticks(list(range(0, len(layers), step)), [str(layer) for layer in list(layers)[::step]])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image
