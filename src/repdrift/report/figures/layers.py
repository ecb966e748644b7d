"""Drift by layer: a panel for every task, a line for every method, with the spread over seeds and the controls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.words import method_title, short_number, task_title
from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures._panels import MOST_METHODS, control_lines, task_panels
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, lone_marker, method_color, method_label, method_marker
from repdrift.report.wording import drift_definition

_SPREAD = 0.14
"""Width in layers over which the methods' points at one layer are spread."""


def draw(data: ReportData) -> Figure:
    """A panel for each task, at most two in a row, on one scale."""
    ylabel = f"drift, {drift_definition(data.results.study, data.results.study.primary_measure)}"
    return task_panels(data, _panel, ylabel=ylabel, remarks=(0.02, 0.98))


def _panel(axes: Axes, data: ReportData, task: str) -> None:
    layers = np.array(data.layers, dtype=float)
    positions = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(data.methods)) if len(data.methods) > 1 else np.zeros(1)
    for method, offset in zip(data.methods, positions, strict=True):
        drift = data.drift(task, method)
        if drift.empty:
            continue
        color, marker = method_color(method, data.methods), method_marker(method, data.methods)
        many = len(data.methods) > MOST_METHODS
        band = 0.08 if many else 0.18
        axes.fill_between(layers, drift.min(axis=0), drift.max(axis=0), color=color, alpha=band, linewidth=0)
        if many:
            size = max(1.8, min(3.5, 60 / len(layers)))
            style = {"marker": marker, "markersize": size, "markeredgewidth": 0, "linewidth": 1.1}
            axes.plot(
                layers, data.mean_drift(task, method), color=color, label=f"{method_label(method)} (mean)", **style
            )
            continue
        for seed in drift.index:
            axes.plot(
                layers + offset, drift.loc[seed], marker, color=color, markersize=2.4, markeredgewidth=0, alpha=0.7
            )
        label = f"{method_label(method)} (mean)"
        axes.plot(layers, data.mean_drift(task, method), marker=lone_marker(data.layers), color=color, label=label)
    control_lines(axes, data, task)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    many = len(data.methods) > MOST_METHODS
    points = "" if many else " points: single trained models;"
    dotted = ", the largest of all methods," if many else ","
    return (
        f"Line: mean over seeds;{points} band: smallest to largest of the trained models (not a confidence interval). "
        f"Dotted: drift between two seeds of one method{dotted} the size that a difference must exceed to mean something. "
        "Dashed: the base model extracted twice. All panels have one scale."
    )


def describe(data: ReportData) -> str:
    """Says the mean drift in the first and the last layer, for every task and method."""
    parts: list[str] = []
    for task in data.tasks:
        for method in data.methods:
            means = data.mean_drift(task, method)
            if np.isfinite(means[[0, -1]]).all():
                ends = f"{short_number(means[0])} in layer {data.layers[0]} to {short_number(means[-1])} in layer {data.layers[-1]}"
                parts.append(f"{task_title(task)}, {method_title(method)}: {ends}")
            else:
                parts.append(f"{task_title(task)}, {method_title(method)}: missing")
    return f"Lines of mean drift by layer. {'; '.join(parts)}."


register(FigureSpec("drift_by_layer", 2, "Drift by layer", caption, describe, draw))
