"""Drift by layer: a panel for every task, a line for every method, with the spread over seeds and the controls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import method_title, short_number, task_title
from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures._panels import MOST_METHODS, control_lines, task_panels, task_plan
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, method_look, method_names

_SPREAD = 0.14
"""Width in layers over which the points of single models of the methods at one layer are spread."""
_MARKS = 12
"""Marks on a line, at most."""


def draw(data: ReportData) -> Figure:
    """A panel for each task, at most two in a row, on one scale."""
    ylabel = f"drift, {drift_definition(data.results.study, data.results.study.primary_measure)}"
    return task_panels(data, _panel, ylabel=ylabel)


def _panel(axes: Axes, data: ReportData, task: str) -> None:
    layers = np.array(data.layers, dtype=float)
    many = len(data.methods) > MOST_METHODS
    spread = 0.0 if many or len(data.methods) == 1 else _SPREAD
    positions = np.linspace(-spread / 2, spread / 2, len(data.methods))
    names = method_names(data.methods)
    for number, (method, offset) in enumerate(zip(data.methods, positions, strict=True)):
        drift = data.drift(task, method)
        if drift.empty:
            continue
        look = method_look(method, data.methods)
        axes.fill_between(
            layers, drift.min(axis=0), drift.max(axis=0), color=look.color, alpha=0.08 if many else 0.18, linewidth=0
        )
        for seed in () if many else drift.index:
            axes.plot(
                layers + offset,
                drift.loc[seed],
                look.marker,
                color=look.color,
                markersize=2.4,
                markeredgewidth=0,
                alpha=0.7,
            )
        mean_line(axes, data, task, method, number, label=names[method])
    control_lines(axes, data, task)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)


def mean_line(axes: Axes, data: ReportData, task: str, method: str, number: int, *, label: str) -> None:
    """Draw the mean drift of a method by layer, with some marks, which stand at other layers than those of its neighbours. number: of the method."""
    look, count = method_look(method, data.methods), len(data.layers)
    every = max(1, -(-count // _MARKS))
    means = data.mean_drift(task, method)
    style = {
        "markersize": 3.4,
        "markeredgewidth": 0,
        "markevery": (number % every, every),
        "linewidth": 1.2,
        "clip_on": False,
    }
    axes.plot(data.layers, means, label=label, **look.line, **style)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    many = len(data.methods) > MOST_METHODS
    points = "" if many else " points: single trained models;"
    dotted = ", the largest of all methods," if many else ", in the colour of the method,"
    return (
        f"Line: mean over seeds, of each method;{points} band: smallest to largest of the trained models (not a confidence interval). "
        f"Dotted: drift between two seeds of one method{dotted} the size that a difference must exceed to mean something. "
        "Dashed: the base model extracted twice. All panels have one scale."
        + task_plan(data).says_what_is_left_out("the tables have all tasks")
    )


def describe(data: ReportData) -> str:
    """Says the mean drift in the first and the last layer, for every task and method; of many methods the least and the most."""
    of_task = _extremes if len(data.methods) > MOST_METHODS else _each_method
    return f"Lines of mean drift by layer. {'; '.join(part for task in data.tasks for part in of_task(data, task))}."


def _each_method(data: ReportData, task: str) -> list[str]:
    """The first and the last layer of every method."""
    parts: list[str] = []
    for method in data.methods:
        means = data.mean_drift(task, method)
        if np.isfinite(means[[0, -1]]).all():
            ends = f"{short_number(means[0])} in layer {data.layers[0]} to {short_number(means[-1])} in layer {data.layers[-1]}"
            parts.append(f"{task_title(task)}, {method_title(method)}: {ends}")
        else:
            parts.append(f"{task_title(task)}, {method_title(method)}: missing")
    return parts


def _extremes(data: ReportData, task: str) -> list[str]:
    """The methods that drift least and most in the last layer, and how many are missing."""
    last = {method: float(data.mean_drift(task, method)[-1]) for method in data.methods}
    there = {method: value for method, value in last.items() if np.isfinite(value)}
    if not there:
        return [f"{task_title(task)}: missing"]
    least, most = (choose(there, key=lambda method: there[method]) for choose in (min, max))
    missing = f", {len(last) - len(there)} missing" if len(there) < len(last) else ""
    return [
        f"{task_title(task)}, layer {data.layers[-1]}: {short_number(there[least])} ({method_title(least)}) "
        f"to {short_number(there[most])} ({method_title(most)}), {len(there)} methods{missing}"
    ]


register(FigureSpec("drift_by_layer", 2, "Drift by layer", caption, describe, draw))
