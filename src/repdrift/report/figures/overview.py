"""One page on a study: heatmap, drift by layer, reductions, significance and controls, each over all tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from repdrift.core.claim_parts import deciding_opposite_pvalue, deciding_pvalue
from repdrift.core.hypotheses import LESS
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import listed, method_title, short_number, some_listed, task_title
from repdrift.report.cell_numbers import CellNumbers
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, no_comparison, register
from repdrift.report.figures._pvalues import alpha_line, opposite_place, p_axis, p_ends, place
from repdrift.report.figures.reduction import draw_forest, forest_rows
from repdrift.report.figures.reduction_by_layer import beyond_words, draw_reductions
from repdrift.report.heat_cells import color_bar, draw_cells, heat_layers, heat_scale
from repdrift.report.labels import NOTE_PT, text_width_pt, wrapped
from repdrift.report.panels import legend_above, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, GREY, INK, layer_axis, log_ticks, method_look, method_names, note, power_of_ten

_ROW_IN = {False: 0.14, True: 0.115}
"""Height of a row of a method in a wide and in a narrow figure."""
_BESIDES_IN = 0.75
_LEAST_IN = 1.3
_CONTROLS = {
    "identity": ("|", "base model twice"),
    "seed_ceiling": ("x", "between two seeds"),
    "random_change": ("+", "random change"),
    "mispaired": ("1", "mispaired"),
}
_LEAST_SHOWN = 1e-7
"""Lower end of the axis of controls. What is smaller, zero or negative is drawn there, and the tick says so: `≤10⁻⁷`."""


def draw(data: ReportData) -> Figure:
    """Six panels with letters, in two columns, or below each other in a narrow figure."""
    narrow, heights = is_narrow(), _heights(data)
    figure = Figure()
    grid: Any = figure.subplots(len(heights), 1 if narrow else 2, squeeze=False, height_ratios=heights)
    panels = list(grid.flat)
    tasks, why_not = common_tasks(data), no_comparison(data)
    room = 0.75 if narrow else 0.33
    name_pt = 60 if narrow else 66
    draws: list[tuple[str, str | None, Callable[[Axes], None]]] = [
        ("mean drift over tasks", _none_common(tasks), lambda axes: _heatmap(figure, axes, data, tasks, name_pt, room)),
        ("drift by layer", _none_common(tasks), lambda axes: _lines(axes, data, tasks, room)),
        ("drift reduction", why_not, lambda axes: _forest(axes, data, name_pt)),
        ("drift reduction by layer", why_not, lambda axes: _reductions(axes, data, room)),
        ("p: less drift up, more down", why_not, lambda axes: _significance(axes, data, room)),
        ("drift beside its controls", _none_common(tasks), lambda axes: _beside_controls(axes, data, tasks, name_pt)),
    ]
    width = 72 * page_width_in() * (1 if narrow else 0.5) - 80
    for letter, axes, (title, why, fill) in zip("abcdef", panels, draws, strict=False):
        if why is None:
            fill(axes)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
            note(axes, "\n".join(wrapped(why, width, NOTE_PT)), (0.5, 0.5))
        panel_title(axes, f"({letter}) {title}", (), width)
    height = _legend(figure, data)
    figure.set_size_inches(page_width_in(), sum(heights) + height)
    return figure


def _heights(data: ReportData) -> list[float]:
    """Heights of the rows in inches. A narrow figure leaves out the last panels where they do not fit on a page."""
    high = max(_LEAST_IN, 0.62 + _ROW_IN[is_narrow()] * len(data.methods))
    if not is_narrow():
        return [high + 0.1, high, max(_LEAST_IN + 0.3, high)]
    low, found = 1.02, []
    for height in (high, low, high, low, low + 0.2, high):
        if sum(found) + height > MOST_HEIGHT_IN - _BESIDES_IN - 0.07 * len(data.methods):
            break
        found.append(height)
    return found or [high]


def common_tasks(data: ReportData) -> list[str]:
    """The tasks on which every method has a drift in every layer, so that means over tasks are of the same ones."""
    return [
        task for task in data.tasks if all(np.isfinite(data.mean_drift(task, method)).all() for method in data.methods)
    ]


def means_over(data: ReportData, tasks: Sequence[str]) -> np.ndarray:
    """Mean drift over seeds, then over these tasks: (methods, layers)."""
    return np.array([[data.mean_drift(task, method) for task in tasks] for method in data.methods]).mean(axis=1)


def _none_common(tasks: Sequence[str]) -> str | None:
    return (
        None if tasks else "no task has models of every method, so there is no mean over tasks that could be compared"
    )


def _heatmap(figure: Figure, axes: Axes, data: ReportData, tasks: Sequence[str], name_pt: float, room: float) -> None:
    values = means_over(data, tasks)
    scale = heat_scale(values)
    draw_cells(axes, values, scale, CellNumbers(), width_pt=72 * page_width_in() * room)
    axes.set_yticks(range(len(values)), list(method_names(data.methods, name_pt).values()))
    heat_layers(axes, data.layers, room)
    if (values > 0).any():
        color_bar(figure, [axes], scale, "drift", below=False, fraction=0.06)


def _lines(axes: Axes, data: ReportData, tasks: Sequence[str], room: float) -> None:
    every = max(1, -(-len(data.layers) // 12))
    for number, (method, means) in enumerate(zip(data.methods, means_over(data, tasks), strict=True)):
        style: dict[str, Any] = {
            "markersize": 3,
            "markeredgewidth": 0,
            "markevery": (number % every, every),
            "linewidth": 1.1,
            "clip_on": False,
        }
        axes.plot(data.layers, means, **style, **method_look(method, data.methods).line)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_ylabel("drift")
    layer_axis(axes, data.layers, room)


def _forest(axes: Axes, data: ReportData, name_pt: float) -> None:
    rows = forest_rows(data)
    if data.several_arms:
        overall = ALL_TASKS if len(data.tasks) > 1 else data.tasks[0]
        rows = [row for row in rows if row.task == overall and row.look is not None]
    draw_forest(axes, data, rows, name_pt=name_pt, numbers=False)
    axes.set_xlabel(_short_of(["less drift than the reference (%)", "less drift (%)"], name_pt))


def _reductions(axes: Axes, data: ReportData, room: float) -> None:
    draw_reductions(axes, data)
    axes.set_ylabel("less drift (%)")
    layer_axis(axes, data.layers, room)


def _significance(axes: Axes, data: ReportData, room: float) -> None:
    tests = {contrast.results.study.comparison_method: contrast.layer_tests(LESS) for contrast in data.contrasts}
    every = [test for of_arm in tests.values() for test in of_arm]
    alpha = data.results.study.alpha
    ends = p_ends(alpha, map(deciding_pvalue, every), map(deciding_opposite_pvalue, every))
    size = max(1.8, min(3.6, 90 / len(data.layers)))
    for method, of_arm in tests.items():
        look = method_look(method, data.methods)
        layers = [float(test.layer) for test in of_arm if test.layer is not None]
        for places, face in (
            ([opposite_place(deciding_opposite_pvalue(test)) for test in of_arm], "white"),
            ([place(deciding_pvalue(test)) for test in of_arm], look.color),
        ):
            if np.isfinite(places).any():
                axes.plot(
                    layers,
                    places,
                    look.marker,
                    color=look.color,
                    markerfacecolor=face,
                    markersize=size,
                    markeredgewidth=0.6,
                    clip_on=False,
                )
    axes.set_ylim(ends.low, ends.high)
    p_axis(axes.yaxis, ends, 5)
    axes.set_ylabel("p, corrected")
    alpha_line(axes, alpha, ends, upright=False)
    layer_axis(axes, data.layers, room)
    if all(deciding_pvalue(test) is None for test in every):
        note(axes, "no test by layer", (0.5, 0.5))


def _beside_controls(axes: Axes, data: ReportData, tasks: Sequence[str], name_pt: float) -> None:
    for row, (method, means) in enumerate(zip(data.methods, means_over(data, tasks), strict=True)):
        look = method_look(method, data.methods)
        for name, (marker, _) in _CONTROLS.items():
            value = float(
                np.mean([data.control_drift(name, task, None if name == "identity" else method) for task in tasks])
            )
            if np.isfinite(value):
                axes.plot(
                    max(value, _LEAST_SHOWN), row, marker, color=GREY, markersize=5, markeredgewidth=0.9, clip_on=False
                )
        axes.plot(
            max(float(means.mean()), _LEAST_SHOWN),
            row,
            look.marker,
            color=look.color,
            markersize=4.5,
            markeredgewidth=0,
            clip_on=False,
            zorder=3,
        )
    axes.set_xscale("log")
    low, high = axes.dataLim.x0, axes.dataLim.x1
    axes.set_xlim(max(_LEAST_SHOWN, low) / 2, max(high, 1.0) * 2)
    powers = [10.0**e for e in range(-7, 1) if max(_LEAST_SHOWN, low) / 2 <= 10.0**e <= max(high, 1.0) * 2]
    axes.set_xticks(powers[:: 1 + (len(powers) > 5)])
    axes.xaxis.set_minor_locator(NullLocator())
    log_ticks(axes.xaxis)
    if low <= _LEAST_SHOWN:
        first, *others = [float(tick) for tick in axes.get_xticks()]
        axes.set_xticks([first, *others], [f"≤{power_of_ten(first)}", *map(power_of_ten, others)])
    axes.set_yticks(range(len(data.methods)), list(method_names(data.methods, name_pt).values()))
    axes.set_ylim(len(data.methods) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(_short_of(["drift, mean over layers and tasks", "mean drift"], name_pt))


def _short_of(labels: Sequence[str], name_pt: float) -> str:
    """The first of these labels that is no wider than a panel beside names, or the last."""
    width = 72 * page_width_in() * (1 if is_narrow() else 0.5) - name_pt - 20
    return next((label for label in labels if text_width_pt([label]) <= width), labels[-1])


def _legend(figure: Figure, data: ReportData) -> float:
    names = method_names(data.methods)
    keys = [
        Line2D([], [], markersize=4, linewidth=1.1, label=names[m], **method_look(m, data.methods).line)
        for m in data.methods
    ]
    grey: dict[str, Any] = {"color": GREY, "linewidth": 0, "markersize": 5}
    keys += [
        Line2D([], [], marker=marker, label=label, **grey)
        for name, (marker, label) in _CONTROLS.items()
        if data.at_hand(name)
    ]
    keys.append(
        Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"target; p = {data.results.study.alpha:g}")
    )
    return legend_above(figure, keys, [str(key.get_label()) for key in keys], most=2 if is_narrow() else 4)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study, tasks, shown = data.results.study, common_tasks(data), len(_heights(data))
    scale = heat_scale(means_over(data, tasks)).in_words if tasks else ""
    beyond = beyond_words(data) if no_comparison(data) is None else ""
    over = (
        f"Means over tasks are of {some_listed([task_title(task) for task in tasks])}, on which every method has models. "
        if 0 < len(tasks) < len(data.tasks)
        else ""
    )
    return (
        f"Drift from {study.model}: {drift_definition(study, study.primary_measure)}. {over}a: mean drift of each method by layer.{scale} b: the same as lines. "
        f"c: 1 - drift of a method / drift of {method_title(study.reference_method)}, with two-sided interval and one-sided lower bound (upright tick); an arrow at the edge: it goes on beyond. d: the same by "
        f"layer, over all tasks; a full mark is a layer in which less drift is supported. {beyond}e: p in a layer, corrected: full and above p = 1 that of less drift, hollow and below it that of "
        "more drift, the smaller the farther out; dashed: the level. "
        "f: mean drift of each method (colour) beside the base model extracted twice, the drift between two seeds, a random change of the same size and mispaired "
        "samples (grey); what is 0.0000001 or less, or negative, is drawn at the lower end. Dashed in c and d: the target."
        + (f" Panels from {'abcdef'[shown]} on do not fit at this width." if is_narrow() and shown < 6 else "")
    )


def describe(data: ReportData) -> str:
    """Says the mean drift of each method, and what the panels show."""
    tasks = common_tasks(data)
    if not tasks:
        return "Six panels on drift, reductions, significance and controls. No task has models of every method."
    means = means_over(data, tasks).mean(axis=1)
    said = listed(
        [
            f"{method_title(method)} {short_number(float(mean))}"
            for method, mean in zip(data.methods, means, strict=True)
        ]
    )
    return f"Six panels on drift, reductions, significance and controls. Mean drift over layers and tasks: {said}."


register(FigureSpec("overview", -1, "The study on one page", caption, describe, draw))
