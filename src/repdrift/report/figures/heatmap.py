"""Layer-wise drift heatmap: a row for every task and method, a column for every layer."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repdrift.report.figures import FigureSpec, register
from repdrift.report.style import FULL_WIDTH_IN, layer_axis, method_title, plain
from repdrift.report.tables import ReportData

_NUMBERS_UP_TO = 12


def draw(data: ReportData) -> Figure:
    """The heatmap; what is missing is hatched, never coloured."""
    rows = [(task, method) for task in data.results.study.tasks for method in data.methods]
    layers = data.layers
    values = np.full((len(rows), len(layers)), np.nan)
    for index, (task, method) in enumerate(rows):
        drift = data.drift(task, method)
        if not drift.empty:
            values[index] = drift.mean(axis=0).reindex(layers).to_numpy()
    top = max(float(np.nanmax(values)), 1e-12)
    figure = Figure(figsize=(FULL_WIDTH_IN, 0.9 + 0.3 * len(rows)))
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="viridis", norm=Normalize(min(0.0, float(np.nanmin(values))), top), aspect="auto")
    for row, column in np.argwhere(np.isnan(values)):
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, hatch="////", fill=False, edgecolor="0.6", linewidth=0)
        )
    for row in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text((len(layers) - 1) / 2, row, "missing", ha="center", va="center", bbox=box)
    if len(layers) <= _NUMBERS_UP_TO:
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                shade = "black" if value > 0.6 * top else "white"
                axes.text(
                    column,
                    row,
                    f"{value:.2f}" if top >= 0.1 else f"{value:.1g}",
                    ha="center",
                    va="center",
                    color=shade,
                    fontsize=7.5,
                )
    for border in range(len(data.methods), len(rows), len(data.methods)):
        axes.axhline(border - 0.5, color="white", linewidth=2.5)
    axes.set_yticks(range(len(rows)), [f"{plain(task)}, {method_title(method)}" for task, method in rows])
    layer_axis(axes, list(range(len(layers))))
    axes.set_xticks(axes.get_xticks(), [str(layers[int(tick)]) for tick in axes.get_xticks()])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.015, fraction=0.04)
    bar.set_label("drift, 1 - debiased CKA")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def caption(data: ReportData) -> str:
    """What is seen."""
    return (
        f"Drift from {data.results.study.model} in every layer: 1 - debiased linear CKA on the same samples, mean over seeds. "
        "0 is unchanged, about 1 unrelated. Hatched: no run."
    )


register(FigureSpec("drift_heatmap", 1, "Where the representations moved", caption, draw))
