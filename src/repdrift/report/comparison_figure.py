"""The figure of a direct comparison: drift by layer of every model, with its interval, beside the controls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.atomic import write_together
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import task_title
from repdrift.report.style import FULL_WIDTH_IN, GREY, layer_axis, log_ticks, plain, png_and_pdf

FIGURE_NAME = "drift_by_layer"
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LEAST_SHOWN = 1e-9
"""Lower end of the logarithmic axis. Smaller values, zero and negative ones are drawn there."""


def draw_comparison(comparison_file: Path, output_dir: Path) -> list[Path]:
    """Draw the figure of `comparison_file` as PNG and PDF into `output_dir`. Returns the paths.

    The left panel shows drift on a linear scale, the right one drift and controls on a logarithmic scale, where noise and
    random change can be seen. Raises DataError if the file is not a comparison, StorageError if it cannot be written.
    """
    result = Comparison.read(comparison_file)
    png, pdf = png_and_pdf(lambda: _figure(result))
    return write_together(output_dir, {f"{FIGURE_NAME}.png": png, f"{FIGURE_NAME}.pdf": pdf})


def _figure(result: Comparison) -> Figure:
    figure = Figure(figsize=(FULL_WIDTH_IN, 2.9))
    left, right = figure.subplots(1, 2)
    for number, model in enumerate(result.compared):
        color, marker = _COLORS[number % len(_COLORS)], _MARKERS[number % len(_MARKERS)]
        _drift(left, model, color, marker)
        _with_controls(right, model, color, marker, result.control_samples)
    _common(right, result)
    layers = [layer.layer for layer in result.base_layers]
    for axes in (left, right):
        layer_axis(axes, layers)
    left.set_ylabel("drift, 1 - debiased CKA")
    left.set_ylim(bottom=min(0.0, left.get_ylim()[0]))
    left.set_title("with 95 % interval over samples" if _has_intervals(result) else "every real token is a row")
    right.set_title("beside the controls")
    right.set_yscale("log")
    log_ticks(right.yaxis)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7)
    figure.suptitle(
        f"Drift from {plain(result.base)} on {plain(task_title(result.task))}, {result.compared[0].layers[0].rows} rows",
        fontsize=9,
    )
    return figure


def _drift(axes: Axes, model: ComparedModel, color: str, marker: str) -> None:
    layers = [at.layer for at in model.layers]
    axes.plot(
        layers, [at.drift for at in model.layers], marker=marker, markersize=3, color=color, label=plain(model.name)
    )
    low = np.array([np.nan if at.drift_low is None else at.drift_low for at in model.layers])
    high = np.array([np.nan if at.drift_high is None else at.drift_high for at in model.layers])
    axes.fill_between(layers, low, high, color=color, alpha=0.2, linewidth=0)


def _with_controls(axes: Axes, model: ComparedModel, color: str, marker: str, n_samples: int | None) -> None:
    layers = [at.layer for at in model.layers]
    axes.plot(
        layers,
        [_shown(at.drift) for at in model.layers],
        marker=marker,
        markersize=3,
        color=color,
        label=plain(model.name),
    )
    random = [(at.layer, _shown(at.random_change_drift)) for at in model.layers if at.random_change_drift is not None]
    if random:
        label = f"random change as large as {plain(model.name)}{_on(n_samples)}"
        axes.plot(*zip(*random, strict=True), linestyle="--", linewidth=1, color=color, label=label)


def _common(axes: Axes, result: Comparison) -> None:
    mispaired = [(at.layer, at.mispaired_drift) for at in result.compared[0].layers if at.mispaired_drift is not None]
    if mispaired:
        axes.plot(*zip(*mispaired, strict=True), linestyle="-.", linewidth=0.9, color=GREY, label="mispaired samples")
    floors = [(layer.layer, _shown(layer.noise_floor)) for layer in result.base_layers if layer.noise_floor is not None]
    if floors:
        clipped = all(value <= _LEAST_SHOWN for _, value in floors)
        label = (
            "base model run twice (noise"
            + (f", below {_LEAST_SHOWN:g})" if clipped else ")")
            + _on(result.control_samples)
        )
        axes.plot(*zip(*floors, strict=True), linestyle=":", linewidth=1.2, color=GREY, label=label)


def _on(n_samples: int | None) -> str:
    """Says on how many samples a control was measured; older results do not know it."""
    return "" if n_samples is None else f", {n_samples} samples"


def _shown(value: float) -> float:
    return max(value, _LEAST_SHOWN)


def _has_intervals(result: Comparison) -> bool:
    return any(at.drift_low is not None for model in result.compared for at in model.layers)
