"""Cells of heatmaps: a scale in even steps of lightness, logarithmic where values span two decades; missing, zero and negative values are told apart by pattern."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from repdrift.core.words import short_number
from repdrift.report.cell_numbers import CellNumber, CellNumbers
from repdrift.report.figure_size import is_narrow
from repdrift.report.labels import NOTE_PT, text_width_pt
from repdrift.report.style import GREY, HATCH, layer_axis, power_of_ten

_TWO_DECADES = 100.0
_MOST_DECADES = 4
_NONE_COLOR = "#4a4a4a"
_NONE_LOOK: dict[str, Any] = {"facecolor": _NONE_COLOR, "edgecolor": "#9a9a9a", "hatch": "...."}
"""Dark as the lower end of the scale, and with dots, so that it is told from it in grey too."""
_MISSING_LOOK: dict[str, Any] = {"facecolor": "white", "edgecolor": GREY, "hatch": HATCH}
_UNTRAINED_LOOK: dict[str, Any] = {"facecolor": "white", "edgecolor": "#b4b4b4", "hatch": "-----"}
MISSING_KEY = Patch(**_MISSING_LOOK, linewidth=0.5, label="missing")
UNTRAINED_KEY = Patch(**_UNTRAINED_LOOK, linewidth=0.5, label="not trained")


@dataclass(frozen=True)
class HeatScale:
    """The scale of one or more heatmaps. clipped: values below its lower end are drawn as this end."""

    norm: Normalize
    logarithmic: bool
    clipped: bool

    @property
    def in_words(self) -> str:
        """A sentence for the caption, with a space before it."""
        if not self.logarithmic:
            return ""
        ends = (
            f"; what is smaller than {short_number(float(self.norm.vmin or 0.0))} is drawn as that"
            if self.clipped
            else ""
        )
        return f" The scale is logarithmic, since values span more than two decades{ends}."


def heat_scale(values: np.ndarray) -> HeatScale:
    """Returns a scale over all values above 0: from 0 on, or logarithmic over at most four decades where they span two."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return HeatScale(Normalize(0.0, 1.0), logarithmic=False, clipped=False)
    low, high = float(positive.min()), float(positive.max())
    if high < _TWO_DECADES * low:
        return HeatScale(Normalize(0.0, high), logarithmic=False, clipped=False)
    floor = max(low, high * 10.0**-_MOST_DECADES)
    return HeatScale(LogNorm(floor, high, clip=True), logarithmic=True, clipped=floor > low)


def draw_cells(
    axes: Axes,
    values: np.ndarray,
    scale: HeatScale,
    numbers: CellNumbers,
    *,
    width_pt: float,
    untrained: Collection[int] = (),
) -> None:
    """Draw the cells of (rows, columns) `values`, which are about `width_pt` wide together. Missing ones are hatched, those of 0 or below grey with dots.

    numbers: of the whole figure; those of the cells are added. untrained: rows without a value because nothing in them was trained.
    """
    with np.errstate(invalid="ignore"):
        shown = np.where(values > 0, values, np.nan)
    image = axes.imshow(shown, norm=scale.norm, aspect="auto", interpolation="nearest")
    cell_pt = width_pt / values.shape[1]
    for row, start, stop in _stretches(np.isnan(values)):
        word, look = ("not trained", _UNTRAINED_LOOK) if row in untrained else ("missing", _MISSING_LOOK)
        _stretch(axes, row, start, stop, **look)
        if (stop - start) * cell_pt >= text_width_pt([word], NOTE_PT) + 8:
            plate = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
            axes.text(
                (start + stop - 1) / 2, row, word, ha="center", va="center", fontsize=NOTE_PT, bbox=plate, color=GREY
            )
    with np.errstate(invalid="ignore"):
        none = values <= 0
    for row, start, stop in _stretches(none):
        _stretch(axes, row, start, stop, **_NONE_LOOK)
    rows, columns = values.shape
    numbers.write(axes, rows, columns, _numbers(values, image))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def none_key(label: str) -> Patch:
    """The entry of a legend for values of 0 or below."""
    return Patch(**_NONE_LOOK, linewidth=0, label=label)


def cell_keys(values: np.ndarray, none: str, *, missing: bool | None = None) -> list[Patch]:
    """Entries of the legend for what these values hold besides colours.

    none: the words for 0 or below. missing: whether there are missing ones; without it, those that are NaN are.
    """
    with np.errstate(invalid="ignore"):
        below = bool((values <= 0).any())
    return [
        *([none_key(none)] if below else []),
        *([MISSING_KEY] if (np.isnan(values).any() if missing is None else missing) else []),
    ]


def color_bar(
    figure: Figure | SubFigure, panels: Sequence[Axes], scale: HeatScale, label: str, *, below: bool, **place: Any
) -> Colorbar:
    """Put the bar of the scale beside the panels, or below them."""
    where = "bottom" if below else "right"
    image = ScalarMappable(scale.norm, mpl.rcParams["image.cmap"])
    size = {"fraction": 0.08, "pad": 0.02, "aspect": 40} if below else {"fraction": 0.04, "pad": 0.015, "aspect": 30}
    bar = figure.colorbar(
        image, ax=list(panels), location=where, extend="min" if scale.clipped else "neither", **(size | place)
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label(label)
    axis = bar.ax.xaxis if below else bar.ax.yaxis
    axis.set_minor_locator(NullLocator())
    if scale.logarithmic:
        low, high = float(scale.norm.vmin or 1.0), float(scale.norm.vmax or 1.0)
        subs = (1.0,) if high / low >= 1000 else (1.0, 3.0)
        ticks = [tick for tick in LogLocator(subs=subs, numticks=12).tick_values(low, high) if low <= tick <= high]
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    else:
        axis.set_major_locator(MaxNLocator(nbins=2 if below and is_narrow() else 4))
    return bar


def heat_layers(axes: Axes, layers: Sequence[int], room: float, *, word: bool = True) -> None:
    """Name the columns of a heatmap by their layers. room: width of the cells as a share of the figure's."""
    layer_axis(axes, list(range(len(layers))), room, word=word, names=layers)


def _stretches(held: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Runs of cells that hold, as (row, first column, column after the last)."""
    for row, holds in enumerate(held):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(int)))
        for start, stop in edges.reshape(-1, 2).tolist():
            yield row, start, stop


def _stretch(axes: Axes, row: int, start: int, stop: int, **look: Any) -> None:
    axes.add_patch(Rectangle((start - 0.5, row - 0.5), stop - start, 1, linewidth=0, zorder=1.5, **look))


def _numbers(values: np.ndarray, image: AxesImage) -> Iterator[CellNumber]:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            cell = image.to_rgba(value) if value > 0 else _NONE_COLOR
            yield CellNumber(row, column, cell_text(float(value)), cell)


def cell_text(value: float) -> str:
    """A drift as a cell has room for it: `0.31`, in three decimals below 0.1, `<0.001` for less; a small one is never `0.000`."""
    if value == 0:
        return "0"
    if abs(value) < 0.0005:
        return "<0.001" if value > 0 else ">-0.001"
    return f"{value:.3f}" if abs(value) < 0.0995 else f"{value:.2f}"
