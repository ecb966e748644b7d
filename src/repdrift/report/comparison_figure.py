"""The figure of a direct comparison: drift by layer of every model, with its interval, beside the controls."""

from __future__ import annotations

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
from repdrift.report.captioned_figure import caption_lines_of, put_caption
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import FONT_PT, fitted, fitted_names, text_width_pt, without_formulas
from repdrift.report.panels import legend_above, panel_title, two_panels
from repdrift.report.rendering import Drawing
from repdrift.report.style import GREY, layer_axis, legend_name_pt, log_ticks, look

FIGURE_NAME = "drift_by_layer"
_PANEL_IN = 2.1
_MARKS = 12
"""Marks on a line, at most."""
_RANDOM_CHANGE: dict[str, Any] = {"linestyle": "--", "linewidth": 1.0}
_ROUNDING: dict[str, Any] = {"linestyle": (0, (6, 1)), "linewidth": 0.8}
_MISPAIRED: dict[str, Any] = {"linestyle": "-.", "linewidth": 0.9}
_NOISE: dict[str, Any] = {"linestyle": ":", "linewidth": 1.2}
_LEAST_SHOWN = 1e-9
"""Lower end of the logarithmic axis. Smaller values, zero and negative ones are drawn there."""


def comparison_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no model has a drift by layer.

    One panel shows drift on a linear scale, the other drift and controls on a logarithmic scale, where noise and random change can be seen.
    """
    if not result.compared:
        return None
    shared = shareable(result)
    return lambda: _figure(shared)


def _figure(result: Comparison) -> Figure:
    figure = Figure()
    left, right, plan = two_panels(figure, _PANEL_IN)
    for number, model in enumerate(result.compared):
        _drift(left, model, number)
        _with_controls(right, model, number)
    _common(right, result)
    layers = [layer.layer for layer in result.base_layers]
    for axes in (left, right):
        layer_axis(axes, layers, plan.room)
    left.set_ylabel("drift, 1 - debiased CKA")
    left.set_ylim(bottom=min(0.0, left.get_ylim()[0]))
    panel_title(left, "drift by layer", [_of_rows(result)], plan.width_pt)
    panel_title(
        right,
        "beside the controls",
        [f"smaller than {_LEAST_SHOWN:g}: drawn there"] if _is_clipped(result) else [],
        plan.width_pt,
    )
    right.set_yscale("log")
    log_ticks(right.yaxis)
    rows = f"{result.compared[0].layers[0].rows} rows"
    room = 72 * page_width_in() - text_width_pt([f"Drift from  on , {rows}"])
    base, task = (fitted(name, room / 2, FONT_PT) for name in (result.base, task_title(result.task)))
    handles = _legend(result)
    above = legend_above(
        figure, handles, [str(key.get_label()) for key in handles], most=4, title=f"Drift from {base} on {task}, {rows}"
    )
    figure.set_size_inches(page_width_in(), plan.rows * _PANEL_IN + above + put_caption(figure, caption_lines(result)))
    return figure


def _is_clipped(result: Comparison) -> bool:
    """True if a drift, a control or the noise is too small for the logarithmic axis."""
    of_models = [
        value
        for model in result.compared
        for at in model.layers
        for value in (at.drift, at.random_change_drift, at.rounding_drift)
        if value is not None
    ]
    noise = [layer.noise_floor for layer in result.base_layers if layer.noise_floor is not None]
    return any(value < _LEAST_SHOWN for value in (*of_models, *noise))


def _of_rows(result: Comparison) -> str:
    """Says what the bars at the marks are over, or what a row is where there are none."""
    if _has_intervals(result):
        groups = result.sample_groups
        over = "samples" if groups is None else counted(groups, result.sample_group_unit)
        return without_formulas(f"with 95 % interval over {over}")
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


def _labels(result: Comparison) -> list[str]:
    """Names of the models, each with a star where notes on it stand below."""
    names = fitted_names([model.name for model in result.compared], legend_name_pt() - 4)
    return [name + "*" * bool(model.notes) for name, model in zip(names, result.compared, strict=True)]


def _legend(result: Comparison) -> list[Line2D]:
    """The keys: each model by its colour and marker, then the controls by their dashes; a control has its model's colour."""
    keys = [Line2D([], [], **model_look(number), label=name) for number, name in enumerate(_labels(result))]
    layers = [at for model in result.compared for at in model.layers]
    on = "" if result.control_samples is None else f", {result.control_samples} samples"
    if any(at.random_change_drift is not None for at in layers):
        keys.append(Line2D([], [], **_RANDOM_CHANGE, color=GREY, label=f"random change{on}"))
    if any(at.rounding_drift is not None for at in layers):
        keys.append(Line2D([], [], **_ROUNDING, color=GREY, label=f"rounded base{on}"))
    if any(at.mispaired_drift is not None for at in result.compared[0].layers):
        keys.append(Line2D([], [], **_MISPAIRED, color=GREY, label="mispaired samples"))
    if any(layer.noise_floor is not None for layer in result.base_layers):
        keys.append(Line2D([], [], **_NOISE, color=GREY, label=f"base run twice{on}"))
    return keys


def model_look(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of a model."""
    return {**look(number).line, "markersize": 3}


def _drift(axes: Axes, model: ComparedModel, number: int) -> None:
    layers = [at.layer for at in model.layers]
    axes.plot(
        layers,
        [at.drift for at in model.layers],
        clip_on=False,
        markevery=max(1, len(layers) // _MARKS),
        **model_look(number),
    )
    low = np.array([np.nan if at.drift_low is None else at.drift_low for at in model.layers])
    high = np.array([np.nan if at.drift_high is None else at.drift_high for at in model.layers])
    axes.fill_between(layers, low, high, color=model_look(number)["color"], alpha=0.2, linewidth=0)


def _with_controls(axes: Axes, model: ComparedModel, number: int) -> None:
    look = model_look(number)
    every = max(1, len(model.layers) // _MARKS)
    axes.plot(
        [at.layer for at in model.layers],
        [_shown(at.drift) for at in model.layers],
        clip_on=False,
        markevery=every,
        **look,
    )
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
