"""Panels of weights by kind of module (rows) and layer (columns), which the figures of a comparison and of a study share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from repdrift.report.style import GREY, HATCH, layer_axis

Grid = NDArray[np.float64]
_ZERO = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def log_scale(grids: Sequence[Grid]) -> LogNorm:
    """Returns a logarithmic scale over all values above zero."""
    positive = np.concatenate([grid[grid > 0] for grid in grids])
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1e-6, 1.0)
    return LogNorm(low, high if high > low else low * 10.0)


def draw_panel(
    axes: Axes, grid: Grid, scale: Normalize, layers: Sequence[int], kinds: Sequence[str], title: str
) -> None:
    """Draws one panel with its colour bar. Missing values are hatched; zeros on a logarithmic scale are written."""
    logarithmic = isinstance(scale, LogNorm)
    axes.patch.set(hatch=HATCH, edgecolor=GREY, linewidth=0)  # seen where there is no value
    shown = np.where(grid > 0, grid, np.nan) if logarithmic else grid
    image = axes.imshow(shown, cmap="viridis", norm=scale, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(grid == 0) if logarithmic else ():
        axes.text(column, row, "0", ha="center", va="center", fontsize=5.5, bbox=_ZERO)
    layer_axis(axes, list(range(len(layers))))
    axes.set_xticks(axes.get_xticks(), [str(layers[int(tick)]) for tick in axes.get_xticks()])
    axes.set_yticks(range(len(kinds)), list(kinds), fontsize=6.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=8)
    bar = axes.get_figure().colorbar(image, ax=axes, pad=0.015, fraction=0.05)  # pyright: ignore[reportOptionalMemberAccess]
    bar.outline.set_visible(False)
    if logarithmic:
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        bar.locator = MaxNLocator(nbins=4, integer=True)
        bar.update_ticks()
