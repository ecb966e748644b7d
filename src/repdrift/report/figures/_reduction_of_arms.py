"""Drift reduction of several methods against one reference, in the two panels that one method has."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.hypotheses import LESS
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, listed, method_title, percent, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import _arms
from repdrift.report.figures._intervals import BOUNDS
from repdrift.report.labels import NOTE_PT
from repdrift.report.report_data import ReportData, layers_with, widest_claim
from repdrift.report.style import GREY, INK, layer_axis, method_label

_PANEL_HEIGHT_IN = 2.9


def draw(data: ReportData) -> Figure:
    """The left panel shows reductions by task with the widest interval and lower bound, the right panel by layer."""
    figure = Figure(figsize=(page_width_in(), _PANEL_HEIGHT_IN))
    left, right = figure.subplots(1, 2, width_ratios=list(_arms.WIDTHS), sharey=True)
    target = 100 * data.results.study.target_reduction
    _by_task(left, data)
    values, held = [], []
    for contrast in data.contrasts:
        found = [contrast.reduction(ALL_TASKS, layer) for layer in data.layers]
        values.append([_shown(None if r is None else r.reduction) for r in found])
        held.append(set(layers_with(contrast.layer_tests(LESS), "supported")))
    _arms.by_layer(right, data, values, held)
    layer_axis(right, data.layers, room=0.55)
    right.set_title("by layer, all tasks" if len(data.tasks) > 1 else "by layer")
    low = min(0.0, *(float(axes.dataLim.y0) for axes in (left, right)))
    high = max(target, *(float(axes.dataLim.y1) for axes in (left, right)))
    left.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    for axes in (left, right):
        axes.axhline(0, color="0.75", linewidth=0.7, zorder=0)
        axes.axhline(target, color=INK, linewidth=0.9, linestyle="--", zorder=0.5)
    lines = [
        (Line2D([], [], color=INK, linewidth=0.9, linestyle="--"), f"target {chosen_percent(target / 100)}"),
        (Line2D([], [], color=GREY, marker="_", markersize=7, markeredgewidth=1.4, linewidth=0), "lower bound"),
    ]
    _arms.legend(figure, [*_arms.arm_keys(data), *lines], _PANEL_HEIGHT_IN)
    return figure


def _by_task(axes: Axes, data: ReportData) -> None:
    names = _arms.task_names(data)
    size = _arms.mark_size(data, len(names))
    for contrast, _, place, color, marker in _arms.placed(data):
        for position, task in enumerate(names):
            at, found = position + place, contrast.reduction(task)
            if found is None or found.reduction is None:
                word = "missing" if found is None else "not defined"
                axes.text(at, 0.04, word, rotation=90, ha="center", va="bottom", fontsize=NOTE_PT, color=color,
                          transform=axes.get_xaxis_transform())  # fmt: skip
                continue
            interval = widest_claim(found)
            if interval is not None:
                ends = np.clip((100 * interval.low, 100 * interval.high), *BOUNDS)
                axes.plot([at, at], ends, color=color, linewidth=1.0, zorder=1.8)
            if found.reduction_low is not None and 100 * found.reduction_low >= BOUNDS[0]:
                axes.plot(at, 100 * found.reduction_low, "_", color=color, markersize=7, markeredgewidth=1.4)
            value = 100 * found.reduction
            beyond = "v" if value < BOUNDS[0] else marker
            axes.plot(at, max(value, BOUNDS[0]), beyond, color=color, markersize=size, markeredgewidth=0, zorder=2.5)
    _arms.task_axis(axes, data)
    axes.set_ylabel(f"drift reduction against {method_label(data.results.study.reference_method)} (%)")
    axes.set_title("mean over layers, by task" if len(data.tasks) > 1 else "mean over layers")


def _shown(value: float | None) -> float | None:
    return None if value is None else max(100 * value, BOUNDS[0])


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    return (
        f"Reduction = 1 - drift of a method / drift of {method_title(study.reference_method)}. Lines at the marks: two-sided "
        f"{chosen_percent(study.confidence)} intervals, over models and samples where there is one, else over models, else over samples. Short "
        f"ticks: the one-sided {chosen_percent(1 - study.alpha)} lower bound over trained models; too few models give none. Neither is corrected for "
        "the number of methods. Left, each method stands at its place beside a task; right, a full mark is a layer in which it is supported that the "
        f"method drifts less, corrected over layers and methods. Values below {BOUNDS[0]:g} % are drawn there. Ratios are unstable if the "
        "reference hardly drifts, as in the lowest layers."
    )


def describe(data: ReportData) -> str:
    """Says every method's reduction on each task, and the layers in which it drifts less."""
    parts: list[str] = []
    for contrast in data.contrasts:
        said = [
            f"{task_title(task)} {'missing' if (r := contrast.reduction(task)) is None else percent(r.reduction, missing='not defined')}"
            for task in _arms.task_names(data)
        ]
        held = layers_with(contrast.layer_tests(LESS), "supported")
        layers = f"; supported in {len(held)} of {len(data.layers)} layers"
        parts.append(f"{method_title(contrast.results.study.comparison_method)}: {listed(said)}{layers}")
    return f"Drift reductions. {'. '.join(parts)}."
