"""Drift by layer beside its controls: noise, drift between seeds, random change, mispaired samples."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import short_number, task_title
from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures._panels import MOST_METHODS, control_lines, task_panels, task_plan
from repdrift.report.figures.layers import mean_line
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, GREY, INK, lone_marker, method_color, method_names, power_of_ten

_LINEAR_EXPONENTS = (-7, -3)
_RANDOM_DASHES = (0, (4, 1, 1, 1, 1, 1))
_TITLES = {
    "identity": "base model twice",
    "seed_ceiling": "between seeds",
    "random_change": "random change of the same size",
    "mispaired": "mispaired samples",
}


def draw(data: ReportData) -> Figure:
    """A panel for each task, with drift and controls by layer on a logarithmic scale."""
    ylabel = f"drift, {drift_definition(data.results.study, data.results.study.primary_measure)}"
    figure = task_panels(data, _panel, ylabel=ylabel)
    edge = _linear_edge(data)
    low = min(float(axes.dataLim.y0) for axes in figure.axes)
    high = max(float(axes.dataLim.y1) for axes in figure.axes)
    powers = [10.0**e for e in range(0, edge - 1, -1 if edge > -4 else -2)]
    below = [-(10.0**e) for e in range(edge, 1) if low < -(10.0**e)]
    for axes in figure.axes:
        axes.set_yscale("symlog", linthresh=10.0**edge, linscale=0.5)
        axes.yaxis.set_major_locator(FixedLocator([*below[-1:], 0.0, *powers]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(float(value))))
        axes.set_ylim(min(2 * low, -(10.0**edge) / 2), max(2 * high, 2.0))
    return figure


def _tick(value: float) -> str:
    return f"{'−' if value < 0 else ''}{power_of_ten(abs(value))}" if value else "0"


def _linear_edge(data: ReportData) -> int:
    """Exponent of the power of ten below which the scale is linear. It lies below the smallest mean drift if possible."""
    means = np.concatenate([np.abs(data.mean_drift(task, method)) for task in data.tasks for method in data.methods])
    means = means[np.isfinite(means) & (means > 0)]
    smallest = int(np.floor(np.log10(means.min()))) if means.size else _LINEAR_EXPONENTS[1]
    return max(_LINEAR_EXPONENTS[0], min(_LINEAR_EXPONENTS[1], smallest))


def _panel(axes: Axes, data: ReportData, task: str) -> None:
    mispaired = data.control_drift("mispaired", task)
    if np.isfinite(mispaired).any():
        style = {"linewidth": 0.9, "linestyle": "-.", "marker": lone_marker(data.layers), "label": "mispaired samples"}
        axes.plot(data.layers, mispaired, color=INK, **style)
    names = method_names(data.methods)
    for number, method in enumerate(data.methods):
        if np.isfinite(data.mean_drift(task, method)).any():
            mean_line(axes, data, task, method, number, label=names[method])
    control_lines(axes, data, task)
    _random_change(axes, data, task)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)


def _random_change(axes: Axes, data: ReportData, task: str) -> None:
    """Draw the drift of the base model after a random change of its weights as large as the change by training.

    With many methods one area goes from the smallest to the largest of theirs.
    """
    if len(data.methods) > MOST_METHODS:
        every = np.array([data.control_drift("random_change", task, method) for method in data.methods])
        known = np.isfinite(every).any(axis=0)
        if known.any():
            low, high = (
                np.where(known, pick(np.where(np.isfinite(every), every, fill), axis=0), np.nan)
                for pick, fill in ((np.min, np.inf), (np.max, -np.inf))
            )
            label = "random change"
            axes.fill_between(data.layers, low, high, color=GREY, alpha=0.25, linewidth=0, label=label)
        return
    style = {"linewidth": 0.9, "linestyle": _RANDOM_DASHES, "marker": lone_marker(data.layers)}
    every = [(method, data.control_drift("random_change", task, method)) for method in data.methods]
    if any(np.isfinite(random).any() for _, random in every):
        axes.plot([], [], color=INK, label="random change", **style)
    for method, random in every:
        if np.isfinite(random).any():
            axes.plot(data.layers, random, color=method_color(method, data.methods), **style)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    if data.at_hand("random_change"):
        random = (
            f"{'Grey area (smallest to largest of the methods)' if len(data.methods) > MOST_METHODS else 'Dash and two dots, in the colour of the method'}: the base model with its weights moved at random by as much as the method moved them. Drift beyond it "
            "comes from where training moved the weights, not from how far."
        )
    else:
        random = "A random change of the same size was not measured."
    return (
        "A drift means something if it lies above the noise (the base model extracted twice) and below mispaired samples "
        "(no relation at all). Dotted: drift between two seeds of one method, which shows how far apart equal trainings end. "
        f"{random} Means over seeds. The scale is logarithmic, and linear within ±{power_of_ten(10.0 ** _linear_edge(data))} to show zero and "
        "negative values too." + task_plan(data).says_what_is_left_out("the tables have all tasks")
    )


def describe(data: ReportData) -> str:
    """Says the range over layers of every control, task by task."""
    parts: list[str] = []
    for task in data.tasks:
        ranges = []
        for name, title in _TITLES.items():
            values = data.control_drift(name, task)
            known = values[np.isfinite(values)]
            ranges.append(
                f"{title} {short_number(known.min())} to {short_number(known.max())}"
                if known.size
                else f"{title} not at hand"
            )
        parts.append(f"{task_title(task)}: {', '.join(ranges)}")
    return f"Drift by layer beside its controls, on a logarithmic scale. {'; '.join(parts)}."


register(FigureSpec("controls", 5, "Drift beside its controls", caption, describe, draw))
