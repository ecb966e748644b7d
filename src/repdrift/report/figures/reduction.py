"""Drift reduction of one method against the other: by task and overall, and by layer, with the target."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.records.claims import Interval, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, listed, method_title, percent, percent_range, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, _reduction_of_arms, no_comparison, register
from repdrift.report.figures._intervals import BOUNDS, band_sources, draw_bands, draw_intervals, interval_keys
from repdrift.report.labels import NOTE_PT
from repdrift.report.report_data import ReportData, interval_over, widest_claim
from repdrift.report.style import (
    GREY,
    INK,
    layer_axis,
    legend_columns,
    method_color,
    method_label,
    name_axis,
    task_label,
)
from repdrift.report.wording import OVER

_FLOOR = BOUNDS[0]
_TASK_STYLES = [(dashes, shade) for shade in ("0.35", "0.62") for dashes in ("-", "--", "-.", ":")]
_WIDTHS = (1.0, 1.15)
_PANEL_HEIGHT_IN = 2.75
_LEGEND_LINE_IN = 0.15


def draw(data: ReportData) -> Figure:
    """The left panel shows reductions by task with intervals and one-sided lower bound, the right panel by layer."""
    if data.several_arms:
        return _reduction_of_arms.draw(data)
    figure = Figure(figsize=(page_width_in(), _PANEL_HEIGHT_IN))
    left, right = figure.subplots(1, 2, width_ratios=list(_WIDTHS), sharey=True)
    _by_task(left, data)
    _by_layer(right, data)
    low = max(_FLOOR, min(0.0, *(float(axes.dataLim.y0) for axes in (left, right))))
    high = max(100 * data.results.study.target_reduction, *(float(axes.dataLim.y1) for axes in (left, right)))
    left.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    for axes in (left, right):
        _reference_lines(axes)
        axes.axhline(100 * data.results.study.target_reduction, color=INK, linewidth=0.9, linestyle="--", zorder=0.5)
    _legend(figure, right, data)
    return figure


def _by_task(axes: Axes, data: ReportData) -> None:
    study = data.results.study
    tasks = [*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks
    color = method_color(study.comparison_method, data.methods)
    for position, task in enumerate(tasks):
        reduction = data.reduction(task)
        if reduction is None or reduction.reduction is None:
            word = "missing" if reduction is None else "not defined"
            axes.text(position, 0.5, word, rotation=90, ha="center", va="center", fontsize=NOTE_PT, color=GREY,
                      transform=axes.get_xaxis_transform(),
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
            continue
        for value in _paired_by_seed(reduction):
            _mark(axes, position + 0.3, value, "o", GREY, 2.6)
        value = 100 * reduction.reduction
        draw_intervals(axes, position, reduction, color)
        if reduction.reduction_low is not None:
            _lower_bound(axes, position, 100 * reduction.reduction_low, value, color, bar=not reduction.intervals)
        elif not reduction.intervals:
            axes.annotate("no interval", (position, max(value, _FLOOR)), xytext=(-6, 0), textcoords="offset points", rotation=90,
                          ha="right", va="center", fontsize=NOTE_PT, color=GREY)  # fmt: skip
        overall = task == ALL_TASKS
        _mark(axes, position, value, "D" if overall else "o", color, 5.5 if overall else 5)
    name_axis(axes, [task_title(task) for task in tasks], 0.82 * page_width_in() * _WIDTHS[0] / sum(_WIDTHS))
    axes.set_ylabel(f"drift reduction of {method_label(study.comparison_method)} (%)")
    axes.set_title("mean over layers, by task" if len(tasks) > 1 else "mean over layers")


def _lower_bound(axes: Axes, position: float, low: float, value: float, color: str, *, bar: bool) -> None:
    """Draw a tick at the lower bound. bar: also draw a bar from the estimate down to it."""
    if bar:
        axes.plot([position, position], [max(low, _FLOOR), value], color=color, linewidth=1.5, solid_capstyle="butt")
    if low >= _FLOOR:
        axes.plot([position - 0.24, position + 0.24], [low, low], color=color, linewidth=1.5, linestyle=(0, (1.2, 0.6)))
    elif value >= _FLOOR:  # otherwise the number of the estimate is written there
        _mark(axes, position, low, "", color, 4)


def _by_layer(axes: Axes, data: ReportData) -> None:
    study = data.results.study
    color = method_color(study.comparison_method, data.methods)
    compared = data.compared_tasks()
    for number, task in enumerate(compared):
        dashes, shade = _TASK_STYLES[number % len(_TASK_STYLES)]
        if len(data.tasks) > 1:
            axes.plot(
                data.layers,
                _percent(data, task, "reduction"),
                color=shade,
                linewidth=0.9,
                linestyle=dashes,
                marker="o",
                markersize=1.8,
                markeredgewidth=0,
                label=task_label(task),
            )
    values, lows = _percent(data, ALL_TASKS, "reduction"), _percent(data, ALL_TASKS, "reduction_low")
    draw_bands(axes, data, color)
    mark = "D" if len(data.tasks) > 1 else "o"
    axes.plot(data.layers, values, marker=mark, color=color, linewidth=2.0, markersize=3)
    if np.isfinite(lows).any() and not band_sources(data):
        axes.fill_between(data.layers, lows, values, color=color, alpha=0.16, linewidth=0)
    for layer, value in zip(data.layers, values, strict=True):
        if value < _FLOOR:
            axes.plot(layer, _FLOOR, "v", color=color, markersize=4)
    layer_axis(axes, data.layers, room=0.55)
    axes.set_title("by layer")


def _percent(data: ReportData, task: str, field: str) -> np.ndarray:
    """One field of the reductions of a task by layer, (layers,), in percent; NaN if a layer has none."""
    found = [data.reduction(task, layer) for layer in data.layers]
    values = [None if r is None else getattr(r, field) for r in found]
    return 100 * np.array([np.nan if v is None else v for v in values], dtype=float)


def _mark(axes: Axes, position: float, value: float, marker: str, color: str, size: float) -> None:
    """Draw a mark at its value. A value below the floor gets a triangle at the floor and is written beside it."""
    if value >= _FLOOR:
        axes.plot(position, value, marker, color=color, markersize=size, markeredgewidth=0)
        return
    axes.plot(position, _FLOOR, "v", color=color, markersize=max(size, 3.5), markeredgewidth=0)
    if size >= 4:
        axes.annotate(f"{value:.0f}", (position, _FLOOR), xytext=(-4, 2), textcoords="offset points", ha="right",
                      va="bottom", fontsize=NOTE_PT, color=color)  # fmt: skip


def _paired_by_seed(reduction: Reduction) -> list[float]:
    """Reductions in percent between models of equal seed, for seeds at which both are there and the reference drifts."""
    pairs = [(reduction.reference_by_seed.get(seed), value) for seed, value in reduction.comparison_by_seed.items()]
    return [100 * (1 - c / f) for f, c in pairs if f is not None and c is not None and f > 0]


def _reference_lines(axes: Axes) -> None:
    axes.axhline(0, color="0.75", linewidth=0.7, zorder=0)
    if axes.get_ylim()[0] <= _FLOOR:
        axes.axhline(_FLOOR, color="0.75", linewidth=0.7, linestyle=":", zorder=0)


def _legend(figure: Figure, right: Axes, data: ReportData) -> None:
    study = data.results.study
    color = method_color(study.comparison_method, data.methods)
    overall = len(data.tasks) > 1
    rows = [r for r in data.results.reductions if r.layer is None]
    everything = any(r.task == ALL_TASKS for r in rows)

    def dot(marker: str, size: float, shade: str = color, linewidth: float = 0) -> Line2D:
        return Line2D([], [], color=shade, marker=marker, markersize=size, linewidth=linewidth)

    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], color=INK, linewidth=0.9, linestyle="--"), f"target {chosen_percent(study.target_reduction)}"),
        (dot("D" if overall else "o", 5, linewidth=2 if everything else 0), "all tasks" if overall else "estimate"),
        (dot("o", 2.6, GREY), "pair of equal seed"),
    ]
    if overall:
        entries.insert(1, (dot("o", 5), "estimate of a task"))
    if any(r.reduction_low is not None for r in rows):
        bound = Line2D([], [], color=color, linewidth=1.5, linestyle=(0, (1.2, 0.6)))
        entries.append((bound, f"lower bound ({chosen_percent(1 - study.alpha)})"))
    entries += interval_keys([i.over for r in rows for i in r.intervals], data, color)
    entries += zip(*right.get_legend_handles_labels(), strict=True)
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    columns = legend_columns(labels, NOTE_PT, most=math.ceil(len(entries) / 2))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=NOTE_PT, columnspacing=1.2)
    figure.set_figheight(_PANEL_HEIGHT_IN + _LEGEND_LINE_IN * math.ceil(len(entries) / columns))


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    if data.several_arms:
        return _reduction_of_arms.caption(data)
    study = data.results.study
    intervals = (
        f"Lines at the marks, and bands by layer: two-sided {chosen_percent(study.confidence)} intervals. One over samples "
        "holds for these trained models only, one over models for these samples only. One over both holds for new models and samples. "
        if any(r.intervals for r in data.results.reductions)
        else ""
    )
    without: dict[tuple[str, str], list[str]] = {}
    for r in data.results.reductions:
        if r.layer is None and r.reduction is not None and len(r.intervals) < len(OVER):
            lacking = listed([f"over {over}" for over in OVER if interval_over(r, over) is None])
            why = "; ".join(r.notes) or "the analysis does not say why"
            without.setdefault((lacking, why), []).append(task_title(r.task))
    absent = "".join(f"{listed(tasks)}: none {lacking} ({why}). " for (lacking, why), tasks in without.items())
    absent = f"Intervals that are missing: {absent}" if absent else ""
    return (
        f"Reduction = 1 - drift of {method_title(study.comparison_method)} / drift of {method_title(study.reference_method)}. Large marks: "
        f"from means over seeds; small grey points: pairs of equal seed. {intervals}Dotted tick: the one-sided "
        f"{chosen_percent(1 - study.alpha)} lower bound over trained models; too few models give none. An estimate above the "
        f"dashed line meets the target, but that is shown only if this bound also lies above the line. {absent}Ratios are unstable if the "
        f"reference hardly drifts, as in the lowest layers. Triangles at {BOUNDS[0]:g} % stand for values below. If the reference does not "
        "drift at all, no ratio is drawn."
    )


def _ends(interval: Interval) -> str:
    return f"{percent_range(interval.low, interval.high)} over {interval.over}"


def describe(data: ReportData) -> str:
    """Says every estimate with its bound, and in which layers the reduction is largest and smallest."""
    if data.several_arms:
        return _reduction_of_arms.describe(data)
    parts: list[str] = []
    for task in dict.fromkeys([*data.compared_tasks(), ALL_TASKS]):
        r = data.reduction(task)
        if r is None or r.reduction is None:
            parts.append(f"{task_title(task)} not defined")
            continue
        low = "no lower bound" if r.reduction_low is None else f"lower bound {percent(r.reduction_low)}"
        widest = widest_claim(r)
        ends = "no interval" if widest is None else _ends(widest)
        parts.append(f"{task_title(task)} {percent(r.reduction)} ({low}; {ends})")
    text = f"Drift reduction: {'; '.join(parts)}."
    by_layer = [(layer, r.reduction) for layer in data.layers if (r := data.reduction(ALL_TASKS, layer)) is not None]
    known = [(value, layer) for layer, value in by_layer if value is not None]
    if known:
        (most, where), (least, elsewhere) = max(known), min(known)
        text += (
            f" By layer it is largest in layer {where} ({percent(most)}) and smallest in layer {elsewhere} "
            f"({percent(least)})."
        )
    return text


register(FigureSpec("drift_reduction", 3, "How much less drift", caption, describe, draw, absent=no_comparison))
