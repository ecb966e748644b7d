"""Layer-wise drift heatmap: a row for every task and method, a column for every layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from repdrift.core.words import method_title, short_number, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT, text_width_pt
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, HATCH, layer_axis, method_label, task_label
from repdrift.report.wording import drift_definition

_SMALLEST_NUMBER_PT = 5.5
_NUMBER_PT = 7.5
_ROW_IN = 0.27
_BAR_PT = 55
"""Width of the colour bar with its numbers."""
_WORD_NEEDS = 0.09
"""Share of the layers that a gap must span, so that the word `missing` fits into it."""


def draw(data: ReportData) -> Figure:
    """The heatmap. Missing values are hatched, never coloured."""
    rows = [(task, method) for task in data.tasks for method in data.methods]
    values = np.array([data.mean_drift(task, method) for task, method in rows])
    figure = Figure(figsize=(page_width_in(), 1.05 + _ROW_IN * len(rows)))
    axes = figure.add_subplot()
    known = values[np.isfinite(values)]
    low, high = (min(0.0, float(known.min())), float(known.max())) if known.size else (0.0, 1.0)
    scale = Normalize(low, high if high > low else low + 1.0)
    image = axes.imshow(values, cmap="viridis", norm=scale, aspect="auto", interpolation="nearest")
    _hatch(axes, values)
    axes.set_title(
        f"drift, {drift_definition(data.results.study, data.results.study.primary_measure)}",
        loc="left",
        fontsize=FONT_PT,
    )
    _numbers(axes, values, image, page_width_in() * 72 - _labels(axes, data, rows) - _BAR_PT)
    for border in range(len(data.methods), len(rows), len(data.methods)):
        axes.axhline(border - 0.5, color="white", linewidth=3)
    layer_axis(axes, list(range(len(data.layers))))
    axes.set_xticks(axes.get_xticks(), [str(data.layers[int(tick)]) for tick in axes.get_xticks()])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.015, fraction=0.04)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    if not np.isfinite(values).all():
        patch = Patch(facecolor="white", edgecolor=GREY, hatch=HATCH, linewidth=0.5)
        figure.legend([patch], ["missing: no value, not zero"], loc="outside upper right")
    return figure


def _hatch(axes: Axes, values: np.ndarray) -> None:
    for row, start, stop in _gaps(values):
        box = (start - 0.5, row - 0.5)
        axes.add_patch(
            Rectangle(box, stop - start, 1, hatch=HATCH, facecolor="white", edgecolor=GREY, linewidth=0, zorder=1.5)
        )
        if stop - start >= _WORD_NEEDS * values.shape[1]:
            plate = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            middle = (start + stop - 1) / 2
            axes.text(middle, row, "missing", ha="center", va="center", fontsize=7, bbox=plate, color=GREY)


def _gaps(values: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Runs of missing cells as (row, first column, column after the last)."""
    for row, missing in enumerate(np.isnan(values)):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(int)))
        for start, stop in edges.reshape(-1, 2).tolist():
            yield row, start, stop


def _numbers(axes: Axes, values: np.ndarray, image: AxesImage, width_pt: float) -> None:
    """Write the values into the cells, which are `width_pt` wide together. Nothing is written if it would be too small to read."""
    known = [(row, column, value) for (row, column), value in np.ndenumerate(values) if np.isfinite(value)]
    widest = text_width_pt([short_number(value) for *_, value in known], _NUMBER_PT) + 3
    size = _NUMBER_PT * min(1.0, width_pt / values.shape[1] / widest)
    if size < _SMALLEST_NUMBER_PT:
        return
    for row, column, value in known:
        red, green, blue, _ = image.to_rgba(value)
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        shade = "black" if light > 0.45 else "white"
        axes.text(column, row, short_number(value), ha="center", va="center", color=shade, fontsize=size)


def _labels(axes: Axes, data: ReportData, rows: list[tuple[str, str]]) -> float:
    """Name the rows. Returns the width of the names in points."""
    labels: list[str] = []
    for task, method in rows:
        there, planned = len(data.drift(task, method)), len(data.planned(task, method))
        short = f" ({there} of {planned})" if 0 < there < planned else ""
        labels.append(f"{method_label(method)}{short}")
    axes.set_yticks(range(len(rows)), labels)
    left = -(text_width_pt(labels) + 14)
    for position, task in enumerate(data.tasks):
        centre = (position + 0.5) * len(data.methods) - 0.5
        axes.annotate(task_label(task), (0, centre), xycoords=("axes fraction", "data"), xytext=(left, 0),
                      textcoords="offset points", ha="right", va="center", weight="bold")  # fmt: skip
    return 1.15 * text_width_pt([task_label(task) for task in data.tasks]) - left  # bold is wider


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    return (
        f"Drift from {study.model} in every layer: {drift_definition(study, study.primary_measure)} on the same samples, mean over seeds. "
        "0 is unchanged, about 1 unrelated. Hatched: missing. A count in brackets: fewer trained models than planned."
    )


def describe(data: ReportData) -> str:
    """Says the range of the means, where the largest lies, and what is missing."""
    means = {(task, method): data.mean_drift(task, method) for task in data.tasks for method in data.methods}
    known = {key: values for key, values in means.items() if np.isfinite(values).any()}
    task, method = max(known, key=lambda key: float(np.nanmax(known[key])))
    top = known[task, method]
    lowest = min(float(np.nanmin(values)) for values in known.values())
    where = f"layer {data.layers[int(np.nanargmax(top))]} of {task_title(task)}, {method_title(method)}"
    text = (
        f"Heatmap of {len(means)} rows (task and method) by {len(data.layers)} layers. Mean drift lies between "
        f"{short_number(lowest)} and {short_number(float(np.nanmax(top)))}; the largest is in {where}."
    )
    absent = [f"{task_title(t)}, {method_title(m)}" for (t, m) in means if (t, m) not in known]
    return f"{text} Missing: {'; '.join(absent)}." if absent else text


register(FigureSpec("drift_heatmap", 1, "Where the representations moved", caption, describe, draw))
