"""Forest of drift reductions: a row for every task and method that is compared, with estimate, interval and lower bound, beside the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.claim_parts import OVER, interval_over, widest_claim
from repdrift.core.records.claims import Interval, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, listed, method_title, percent, percent_range, some_listed, task_title
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, no_comparison, register
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted_names, wrapped
from repdrift.report.panels import legend_above
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, GREY, INK, Look, method_look, method_names

BOUNDS = (-100.0, 150.0)
"""Percent. Ratios are very large if the reference hardly drifts; what lies beyond is drawn as an arrow at the edge."""
_ROW_IN = 0.15
_BESIDES_IN = 0.95


@dataclass(frozen=True)
class ForestRow:
    """One row: a method on a task, or the name of a task above its methods (without a look). reduction: None if there is none."""

    task: str
    method: str
    look: Look | None
    reduction: Reduction | None


def forest_rows(data: ReportData) -> list[ForestRow]:
    """The rows from top to bottom: task by task, and all tasks together last."""
    tasks = [*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks
    found: list[ForestRow] = []
    for task in tasks:
        if data.several_arms:
            found.append(ForestRow(task, "", None, None))
        for contrast in data.contrasts:
            method = contrast.results.study.comparison_method
            found.append(ForestRow(task, method, method_look(method, data.methods), contrast.reduction(task)))
    return found


def draw(data: ReportData) -> Figure:
    """The forest. Wide figures have the numbers at the right."""
    rows = _shown(data)
    figure = Figure(figsize=(page_width_in(), _ROW_IN * len(rows) + _BESIDES_IN))
    axes = figure.add_subplot()
    draw_forest(axes, data, rows, name_pt=70 if is_narrow() else 130, numbers=not is_narrow())
    keys = forest_keys(data)
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys])
    figure.set_figheight(_ROW_IN * max(3, len(rows)) + 0.55 + height)
    return figure


def draw_forest(axes: Axes, data: ReportData, rows: Sequence[ForestRow], *, name_pt: float, numbers: bool) -> None:
    """Draw the rows. name_pt: width of their names; numbers: write estimate and interval at the right."""
    for position, row in enumerate(rows):
        if row.look is None:
            continue
        if row.reduction is None or row.reduction.reduction is None:
            word = "missing" if row.reduction is None else "not defined"
            axes.text(
                0.5,
                position,
                word,
                transform=axes.get_yaxis_transform(),
                ha="center",
                va="center",
                fontsize=NOTE_PT,
                color=GREY,
            )
            continue
        _row(axes, position, row.reduction, row.look)
        if numbers:
            axes.text(
                1.02,
                position,
                _numbers(row.reduction),
                transform=axes.get_yaxis_transform(),
                ha="left",
                va="center",
                fontsize=NOTE_PT,
            )
    titles = [
        task_title(row.task) if row.look is None or not data.several_arms else method_title(row.method) for row in rows
    ]
    names = _names(rows, titles, name_pt)
    axes.set_yticks(range(len(rows)), names)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.look is None else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _limits(axes, data)
    study = data.results.study
    axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.axvline(100 * study.target_reduction, color=INK, linewidth=0.9, linestyle="--", zorder=0.5)
    for position, (above, below) in enumerate(pairwise(rows)):
        if below.task == ALL_TASKS and above.task != ALL_TASKS:
            axes.axhline(position + 0.5, color=FAINT, linewidth=0.6, zorder=0)
    width = 72 * page_width_in() * 0.55
    names = method_names([study.reference_method, study.comparison_method], width - 40, FONT_PT)
    whose = "" if data.several_arms else f" of {names[study.comparison_method]}"
    axes.set_xlabel("\n".join(wrapped(f"drift reduction{whose} against {names[study.reference_method]} (%)", width)))


def forest_keys(data: ReportData) -> list[Line2D]:
    """The three marks of the forest, for its legend."""
    study = data.results.study
    color = INK if data.several_arms else method_look(study.comparison_method, data.methods).color
    marker = "o" if data.several_arms else method_look(study.comparison_method, data.methods).marker
    interval = f"estimate, {chosen_percent(study.confidence)} interval"
    return [
        Line2D([], [], color=color, marker=marker, markersize=4, linewidth=1.1, label=interval),
        Line2D([], [], color=color, marker="|", markersize=7, markeredgewidth=1.2, linewidth=0, label=f"lower bound, {chosen_percent(1 - study.alpha)}"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"target, {chosen_percent(study.target_reduction)}"),
    ]  # fmt: skip


def _names(rows: Sequence[ForestRow], titles: Sequence[str], width_pt: float) -> list[str]:
    """Labels of the rows. Names of tasks and of methods are told apart among themselves; a method has one label in every group."""
    heads = list(dict.fromkeys(title for row, title in zip(rows, titles, strict=True) if row.look is None))
    others = list(dict.fromkeys(title for row, title in zip(rows, titles, strict=True) if row.look is not None))
    short = dict(zip(heads, fitted_names(heads, width_pt / 1.16), strict=True))  # bold is wider
    plain = dict(zip(others, fitted_names(others, width_pt), strict=True))
    return [short[title] if row.look is None else plain[title] for row, title in zip(rows, titles, strict=True)]


def _row(axes: Axes, position: float, reduction: Reduction, look: Look) -> None:
    value, interval = 100 * (reduction.reduction or 0.0), widest_claim(reduction)
    bound = None if reduction.reduction_low is None else 100 * reduction.reduction_low
    low = high = value
    if interval is not None:
        low, high = 100 * interval.low, 100 * interval.high
        axes.plot(
            np.clip((low, high), *BOUNDS),
            [position, position],
            color=look.color,
            linewidth=1.1,
            zorder=1.8,
            solid_capstyle="butt",
        )
    every = [value, low, high, *(() if bound is None else (bound,))]
    for edge, arrow, beyond in ((BOUNDS[0], "<", min(every) < BOUNDS[0]), (BOUNDS[1], ">", max(every) > BOUNDS[1])):
        if beyond:
            axes.plot(edge, position, arrow, color=look.color, markersize=3.5, markeredgewidth=0, clip_on=False)
    if bound is not None and BOUNDS[0] <= bound <= BOUNDS[1]:
        axes.plot(
            bound,
            position,
            "|",
            color=look.color,
            markersize=7,
            markeredgewidth=1.2,
            clip_on=False,
        )
    marker = "<" if value < BOUNDS[0] else ">" if value > BOUNDS[1] else look.marker
    axes.plot(
        np.clip(value, *BOUNDS),
        position,
        marker,
        color=look.color,
        markersize=4.5,
        markeredgewidth=0,
        zorder=2.5,
        clip_on=False,
    )
    if is_narrow() and not BOUNDS[0] <= value <= BOUNDS[1]:
        side = 1 if value < BOUNDS[0] else -1
        axes.annotate(_points(value / 100), (float(np.clip(value, *BOUNDS)), position), xytext=(5 * side, 0), textcoords="offset points",
                      ha="left" if side > 0 else "right", va="center", fontsize=NOTE_PT, color=look.color,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})  # fmt: skip


def _numbers(reduction: Reduction) -> str:
    interval = widest_claim(reduction)
    ends = "no interval" if interval is None else f"{_points(interval.low)} to {_points(interval.high)}"
    return f"{_points(reduction.reduction or 0.0)} % ({ends})"


def _points(share: float) -> str:
    """A share in percent, in two digits or the whole ones that it has."""
    value = 100 * share
    text = f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"
    return ("0" if float(text) == 0 else text).replace("-", "\N{MINUS SIGN}")


def _limits(axes: Axes, data: ReportData) -> None:
    """Set the ends of the axis so that zero, the target and all that is drawn lie inside."""
    low, high = min(0.0, float(axes.dataLim.x0)), max(100 * data.results.study.target_reduction, float(axes.dataLim.x1))
    if not np.isfinite([low, high]).all():
        low, high = 0.0, 100 * data.results.study.target_reduction
    edge = 0.05 * (high - low)
    axes.set_xlim(low - edge, high + edge)
    axes.locator_params(axis="x", nbins=6)


def _shown(data: ReportData) -> list[ForestRow]:
    """The rows that fit on a page; those of all tasks together come with them."""
    rows, fit = forest_rows(data), int((MOST_HEIGHT_IN - _BESIDES_IN) / _ROW_IN)
    if len(rows) <= fit:
        return rows
    last = [row for row in rows if row.task == ALL_TASKS][:fit]
    return [*[row for row in rows if row.task != ALL_TASKS][: fit - len(last)], *last]


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    without: dict[tuple[str, str], list[str]] = {}
    for contrast in data.contrasts:
        arm = f"{method_title(contrast.results.study.comparison_method)}, " if data.several_arms else ""
        for r in contrast.results.reductions:
            if r.layer is None and r.reduction is not None and len(r.intervals) < len(OVER):
                lacking = listed([f"over {over}" for over in OVER if interval_over(r, over) is None])
                why = "; ".join(r.notes) or "the analysis does not say why"
                without.setdefault((lacking, why), []).append(arm + task_title(r.task))
    absent = "; ".join(f"{some_listed(rows)} has none {lacking} ({why})" for (lacking, why), rows in without.items())
    absent = f" Intervals that are missing: {absent}." if absent else ""
    several = " Neither is corrected for the number of methods." if data.several_arms else ""
    left = len(forest_rows(data)) - len(_shown(data))
    return (
        f"Reduction = 1 - drift of {'a method' if data.several_arms else method_title(study.comparison_method)} / drift of {method_title(study.reference_method)}, "
        f"from means over seeds and layers. Mark and line: the estimate with its two-sided {chosen_percent(study.confidence)} interval, for new models and "
        "samples where there is one, else for new models and these samples, else for these models and new samples. Upright tick: the one-sided "
        f"{chosen_percent(1 - study.alpha)} lower bound over trained models; too few models give none. Dashed: the target, which is shown to be met where the "
        f"tick lies right of it.{several} An arrow at the edge: the estimate, an end of its interval or its bound lies beyond it; such a bound has no tick. Ratios are unstable if the reference hardly drifts; if it does not "
        f"drift at all, the row says `not defined`.{absent}"
        + (f" {left} rows do not fit on the page; the tables have all." if left > 0 else "")
    )


def _ends(interval: Interval) -> str:
    return f"{percent_range(interval.low, interval.high)} over {interval.over}"


def describe(data: ReportData) -> str:
    """Says every estimate with its bound and interval, method by method."""
    parts: list[str] = []
    for contrast in data.contrasts:
        said: list[str] = []
        for task in dict.fromkeys([*data.tasks, ALL_TASKS]):
            r = contrast.reduction(task)
            if r is None or r.reduction is None:
                said.append(f"{task_title(task)} {'missing' if r is None else 'not defined'}")
                continue
            low = "no lower bound" if r.reduction_low is None else f"lower bound {percent(r.reduction_low)}"
            widest = widest_claim(r)
            said.append(
                f"{task_title(task)} {percent(r.reduction)} ({low}; {'no interval' if widest is None else _ends(widest)})"
            )
        arm = f"{method_title(contrast.results.study.comparison_method)}: " if data.several_arms else ""
        parts.append(arm + "; ".join(said))
    return f"Drift reduction: {'. '.join(parts)}."


register(FigureSpec("drift_reduction", 3, "How much less drift", caption, describe, draw, absent=no_comparison))
