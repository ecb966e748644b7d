"""Samples that moved: the share of them that holds half of the drift by layer, and groups that moved more or less than the others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.records.sample_moves import GroupOverModels, TaskSamples
from repdrift.core.records.sites import RESID_POST
from repdrift.core.words import counted, method_title, percent, task_title
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted_names
from repdrift.report.panels import PanelPlan, draw_grid, legend_above, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, GREY, INK, layer_axis, method_look, method_names, note, task_names

_PANEL_IN = 1.65
_NARROW_PANEL_IN = 1.45
_BESIDES_IN = 0.9
_ROW_IN = 0.14
_MOST_ROWS = 12
"""Rows of groups in a panel: those farthest from 1."""


@dataclass(frozen=True)
class _Cell:
    """One panel: by layer, or (`groups`) by group of samples."""

    task: TaskSamples
    groups: bool


def draw(data: ReportData) -> Figure:
    """Two panels for each task: by layer, and by group where samples come in groups."""
    (plan, heights), cells = _plan(data), _cells(data)
    figure = Figure()
    panels = draw_grid(figure, plan, height_ratios=heights)
    beside = plan.columns == 1 and any(
        cell.groups for cell in cells
    )  # names of groups make every panel of the column narrower
    names = task_names([cell.task.task for cell in cells], plan.width_pt - 50, FONT_PT)
    for axes, cell in zip(panels, cells, strict=False):
        if cell.groups:
            _by_group(axes, data, cell.task)
        else:
            _by_layer(axes, data, cell.task)
            layer_axis(axes, data.layers, plan.room * (0.6 if beside else 1.0))
        left = len(cell.task.groups) - _MOST_ROWS
        remark = "share of samples with half of the drift"
        if cell.groups:
            remark = "share of a group by that of all others" + (f"; {left} rows left out" if left > 0 else "")
        panel_title(axes, names[cell.task.task], [remark], plan.width_pt - 40 * any(of.groups for of in cells))
    there = [m for m in data.methods if any(of.method == m for cell in cells for of in cell.task.models)]
    short = method_names(data.methods)
    keys = [
        Line2D([], [], markersize=4, linewidth=1.2, label=short[m], **method_look(m, data.methods).line) for m in there
    ]
    if any(cell.groups for cell in cells):
        dot = {"color": INK, "marker": "o", "markersize": 4.2, "markeredgewidth": 0.8, "linewidth": 0}
        alpha = data.results.study.alpha
        keys += [
            Line2D([], [], markerfacecolor=face, label=f"group: corrected p {sign} {alpha:g}", **dot)
            for face, sign in ((INK, "≤"), ("white", ">"))
        ]
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys])
    figure.set_size_inches(page_width_in(), 0.1 + height + sum(heights))
    return figure


def _plan(data: ReportData) -> tuple[PanelPlan, list[float]]:
    """The arrangement, as many rows as fit on a page, and the height of each row in inches."""
    cells = _cells(data)
    columns = panel_plan(len(cells), _PANEL_IN).columns
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(_height_in(cell) for cell in row) for row in rows]
    room = MOST_HEIGHT_IN - _BESIDES_IN
    fit = max(1, sum(total <= room for total in accumulate(heights)))
    return PanelPlan(len(cells), min(len(cells), fit * columns), columns, _PANEL_IN), heights[:fit]


def _height_in(cell: _Cell) -> float:
    rows = min(_MOST_ROWS, len(cell.task.groups)) if cell.groups else 0
    return max(_NARROW_PANEL_IN if is_narrow() else _PANEL_IN, 0.75 + _ROW_IN * rows)


def _cells(data: ReportData) -> list[_Cell]:
    found: list[_Cell] = []
    for task in _tasks(data):
        found += [_Cell(task, False), *([_Cell(task, True)] if task.groups else [])]
    return found


def _tasks(data: ReportData) -> list[TaskSamples]:
    moved = data.results.moved
    return [] if moved is None or moved.samples is None else [task for task in moved.samples.tasks if task.models]


def halves(task: TaskSamples, method: str, layers: list[int]) -> np.ndarray:
    """The share of the samples that holds half of the drift, in percent, (models, layers); NaN where a model has none."""
    rows = []
    for model in task.models:
        if model.method == method and model.moves.samples:
            by_layer = {
                at.layer: 100 * at.half / model.moves.samples for at in model.moves.places if at.site == RESID_POST
            }
            rows.append([by_layer.get(layer, np.nan) for layer in layers])
    return np.array(rows, dtype=float).reshape(len(rows), len(layers))


def _by_layer(axes: Axes, data: ReportData, task: TaskSamples) -> None:
    for number, method in enumerate(data.methods):
        values = halves(task, method, data.layers)
        if not np.isfinite(values).any():
            continue
        look = method_look(method, data.methods)
        every = max(1, -(-len(data.layers) // 12))
        style: dict[str, Any] = {
            "markersize": 3.4,
            "markeredgewidth": 0,
            "markevery": (number % every, every),
            "linewidth": 1.2,
        }
        axes.plot(data.layers, values.mean(axis=0), clip_on=False, **style, **look.line)
        if len(values) > 1:
            axes.fill_between(
                data.layers, values.min(axis=0), values.max(axis=0), color=look.color, alpha=0.12, linewidth=0
            )
    axes.axhline(50, color=INK, linewidth=0.8, linestyle="--", zorder=0.5)
    highest = max((float(np.nanmax(line.get_ydata())) for line in axes.lines[:-1]), default=50.0)
    axes.set_ylim(
        0, max(55.0, 1.08 * highest)
    )  # of few samples, even the fewest that hold half are more than half of them
    axes.set_ylabel("samples (%)")
    if not axes.lines[:-1]:
        note(axes, "no model has a layer of the residual stream", (0.5, 0.5))


def shown_groups(task: TaskSamples) -> list[GroupOverModels]:
    """The groups of a panel from top to bottom: those whose ratio is farthest from 1, each with its methods below each other."""
    farthest = sorted(task.groups, key=lambda of: -abs(float(np.log(of.ratio))) if of.ratio > 0 else -np.inf)[
        :_MOST_ROWS
    ]
    order = list(dict.fromkeys((of.by, of.column, of.value) for of in task.groups))
    return sorted(
        (of for of in task.groups if of in farthest), key=lambda of: order.index((of.by, of.column, of.value))
    )


def _by_group(axes: Axes, data: ReportData, task: TaskSamples) -> None:
    rows = shown_groups(task)
    for row, of in enumerate(rows):
        look = method_look(of.method, data.methods)
        low, high = (of.low, of.high) if of.low is not None else (of.samples_low, of.samples_high)
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=look.color, linewidth=1.0, zorder=1.8)
        sure = of.p_adjusted is not None and of.p_adjusted <= data.results.study.alpha
        axes.plot(of.ratio, row, look.marker, color=look.color, markerfacecolor=look.color if sure else "white", markersize=4.2, markeredgewidth=0.8,
                  clip_on=False, zorder=2.5)  # fmt: skip
    axes.axvline(1, color=FAINT, linewidth=0.8, zorder=0)
    words = [of.value if of.by in {"label", "length"} else f"{of.column or of.by}: {of.value}" for of in rows]
    width = 92 if is_narrow() else 100
    short = dict(zip(dict.fromkeys(words), fitted_names(list(dict.fromkeys(words)), width), strict=True))
    # A group has one row for each method; it is named at the first of them.
    labels = [short[word] if word not in words[:row] else "" for row, word in enumerate(words)]
    axes.set_yticks(range(len(rows)), labels, fontsize=NOTE_PT)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)
    axes.margins(x=0.08)
    axes.set_xlabel("ratio (1: moved alike)")
    axes.spines["left"].set_color(GREY)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    groups = any(task.groups for task in _tasks(data))
    said = (
        "By layer: the fewest samples that hold half of the drift, as a share of all, mean over seeds; band: smallest to largest of the trained models (not a "
        "confidence interval). At the dashed 50 % all samples moved alike; the lower, the fewer carry the drift."
    )
    if groups:
        said += (
            " By group: the mean share of a group's samples in the drift by that of all others, geometric mean over the models of a method; one row for each method, in its "
            f"colour and mark. Lines: {percent(data.results.study.confidence).replace('.0', '')} intervals over models (seeds), over samples where there is one model. A full mark "
            f"has a p of {data.results.study.alpha:g} or less after Holm's correction over groups and methods."
        )
    return said + _plan(data)[0].says_what_is_left_out("samples.parquet has all")


def describe(data: ReportData) -> str:
    """Says for each task and method which share of the samples holds half of the drift, and which group stands out most."""
    parts: list[str] = []
    for task in _tasks(data):
        for method in data.methods:
            values = halves(task, method, data.layers)
            if not np.isfinite(values).any():
                continue
            said = f"half of the drift lies in {np.nanmin(values):.0f} to {np.nanmax(values):.0f} % of {counted(task.samples, 'sample')}"
            of_method = [of for of in task.groups if of.method == method and of.ratio > 0]
            if of_method:
                most = max(of_method, key=lambda of: abs(float(np.log(of.ratio))))
                said += f"; farthest from the others is `{most.value}` (ratio {most.ratio:.2f})"
            parts.append(f"{task_title(task.task)}, {method_title(method)}: {said}")
    return f"Samples that moved. {'. '.join(parts)}."


def _absent(data: ReportData) -> str | None:
    return None if _tasks(data) else no_section(data, "samples")


register(FigureSpec("samples", 23, "Which samples moved", caption, describe, draw, absent=_absent))
