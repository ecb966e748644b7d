"""The figure of a direct comparison: drift by layer of every model, with its interval, beside the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.comparison_words import note_sentences, warnings_beside_notes
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.shared_paths import shareable
from repdrift.core.words import counted, task_title
from repdrift.report.captioned_figure import caption_lines_of, captioned_figure
from repdrift.report.labels import plain
from repdrift.report.rendering import Drawing, png_and_pdf_files
from repdrift.report.style import GREY, layer_axis, legend_columns, log_ticks

FIGURE_NAME = "drift_by_layer"
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_RANDOM_CHANGE: dict[str, Any] = {"linestyle": "--", "linewidth": 1.0}
_ROUNDING: dict[str, Any] = {"linestyle": (0, (6, 1)), "linewidth": 0.8}
_MISPAIRED: dict[str, Any] = {"linestyle": "-.", "linewidth": 0.9}
_NOISE: dict[str, Any] = {"linestyle": ":", "linewidth": 1.2}
_LEGEND_PT = 7
_LINE_IN = 0.14
"""Height of a line of the legend."""
_LEAST_SHOWN = 1e-9
"""Lower end of the logarithmic axis. Smaller values, zero and negative ones are drawn there."""


def comparison_figures(result: Comparison) -> dict[str, bytes]:
    """Draw the figure of a comparison. Returns the contents of a PNG and a PDF file by name.

    The left panel shows drift on a linear scale, the right one drift and controls on a logarithmic scale, where noise and
    random change can be seen.
    Nothing is drawn if no model has a drift by layer.
    """
    return png_and_pdf_files(FIGURE_NAME, comparison_drawing(result))


def comparison_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no model has a drift by layer."""
    if not result.compared:
        return None
    shared = shareable(result)
    return lambda: _figure(shared)


def _figure(result: Comparison) -> Figure:
    handles = _legend(result)
    columns = legend_columns([str(handle.get_label()) for handle in handles], _LEGEND_PT, most=4)
    caption = caption_lines(result)
    above = 2.4 + _LINE_IN * math.ceil(len(handles) / columns)
    figure, (panels,) = captioned_figure([above], caption)
    left, right = panels.subplots(1, 2)
    for number, model in enumerate(result.compared):
        _drift(left, model, number)
        _with_controls(right, model, number)
    _common(right, result)
    layers = [layer.layer for layer in result.base_layers]
    for axes in (left, right):
        layer_axis(axes, layers)
    left.set_ylabel("drift, 1 - debiased CKA")
    left.set_ylim(bottom=min(0.0, left.get_ylim()[0]))
    left.set_title(_of_rows(result))
    right.set_title("beside the controls")
    right.set_yscale("log")
    log_ticks(right.yaxis)
    panels.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=_LEGEND_PT)
    panels.suptitle(
        f"Drift from {plain(result.base)} on {plain(task_title(result.task))}, {result.compared[0].layers[0].rows} rows",
        fontsize=9,
    )
    return figure


def _of_rows(result: Comparison) -> str:
    """Says what the bars at the marks are over, or what a row is where there are none."""
    if _has_intervals(result):
        groups = result.sample_groups
        over = "samples" if groups is None else counted(groups, result.sample_group_unit)
        return f"with 95 % interval over {over}"
    return "every real token is a row" if result.pooling == "tokens" else "no intervals: see the summary"


def caption_lines(result: Comparison) -> list[str]:
    """The lines below the figure: what changes how the numbers are read, wrapped to its width. A star marks a model that has some."""
    return caption_lines_of(
        [
            *note_sentences(result.compared, mark="*"),
            *result.headline,
            *result.data_notes,
            *warnings_beside_notes(result),
        ]
    )


def _label(model: ComparedModel) -> str:
    return plain(model.name) + ("*" if model.notes else "")


def _legend(result: Comparison) -> list[Line2D]:
    """The keys: each model by its colour and marker, then the controls by their dashes; a control has its model's colour."""
    keys = [Line2D([], [], **model_look(number), label=_label(model)) for number, model in enumerate(result.compared)]
    layers = [at for model in result.compared for at in model.layers]
    on = "" if result.control_samples is None else f", {result.control_samples} samples"
    if any(at.random_change_drift is not None for at in layers):
        keys.append(Line2D([], [], **_RANDOM_CHANGE, color=GREY, label=f"random change as large as the model's{on}"))
    if any(at.rounding_drift is not None for at in layers):
        keys.append(Line2D([], [], **_ROUNDING, color=GREY, label=f"base model rounded like the model{on}"))
    if any(at.mispaired_drift is not None for at in result.compared[0].layers):
        keys.append(Line2D([], [], **_MISPAIRED, color=GREY, label="mispaired samples"))
    floors = [layer.noise_floor for layer in result.base_layers if layer.noise_floor is not None]
    if floors:
        clipped = f", below {_LEAST_SHOWN:g}" if max(floors) <= _LEAST_SHOWN else ""
        keys.append(Line2D([], [], **_NOISE, color=GREY, label=f"base model run twice (noise{clipped}){on}"))
    return keys


def model_look(number: int) -> dict[str, Any]:
    """Colour and marker of a model: the pairs repeat only after every colour has had every marker."""
    marker = _MARKERS[(number + number // len(_COLORS)) % len(_MARKERS)]
    return {"color": _COLORS[number % len(_COLORS)], "marker": marker, "markersize": 3}


def _drift(axes: Axes, model: ComparedModel, number: int) -> None:
    layers = [at.layer for at in model.layers]
    axes.plot(layers, [at.drift for at in model.layers], **model_look(number))
    low = np.array([np.nan if at.drift_low is None else at.drift_low for at in model.layers])
    high = np.array([np.nan if at.drift_high is None else at.drift_high for at in model.layers])
    axes.fill_between(layers, low, high, color=model_look(number)["color"], alpha=0.2, linewidth=0)


def _with_controls(axes: Axes, model: ComparedModel, number: int) -> None:
    look = model_look(number)
    axes.plot([at.layer for at in model.layers], [_shown(at.drift) for at in model.layers], **look)
    _line(axes, [(at.layer, at.random_change_drift) for at in model.layers], color=look["color"], **_RANDOM_CHANGE)
    _line(axes, [(at.layer, at.rounding_drift) for at in model.layers], color=look["color"], **_ROUNDING)


def _common(axes: Axes, result: Comparison) -> None:
    mispaired = [(at.layer, at.mispaired_drift) for at in result.compared[0].layers]
    _line(axes, mispaired, color=GREY, **_MISPAIRED)
    _line(axes, [(layer.layer, layer.noise_floor) for layer in result.base_layers], color=GREY, **_NOISE)


def _line(axes: Axes, values: Sequence[tuple[int, float | None]], **look: Any) -> None:
    known = [(layer, _shown(value)) for layer, value in values if value is not None]
    if known:
        axes.plot(*zip(*known, strict=True), **look)


def _shown(value: float) -> float:
    return max(value, _LEAST_SHOWN)


def _has_intervals(result: Comparison) -> bool:
    return any(at.drift_low is not None for model in result.compared for at in model.layers)
