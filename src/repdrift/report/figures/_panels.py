"""A grid of panels, one for each task, with one legend for all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.words import counted
from repdrift.report.figure_size import page_width_in
from repdrift.report.report_data import ReportData
from repdrift.report.style import (
    GREY,
    INK,
    layer_axis,
    legend_columns,
    lone_marker,
    method_color,
    method_label,
    note,
    task_label,
)

_PANEL_HEIGHT_IN = 2.05
_LEGEND_LINE_IN = 0.17
_COLUMNS = 2


def task_panels(
    data: ReportData, fill: Callable[[Axes, ReportData, str], None], *, ylabel: str, remarks: tuple[float, float]
) -> Figure:
    """Returns a figure with a panel for every task, all on one scale.

    fill: draws into a panel, and labels what it draws. remarks: position, as fractions of a panel, for a note on what is
    missing; the nearest corner of the note is put there.
    """
    tasks = data.tasks
    columns = min(_COLUMNS, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    figure = Figure()
    panels = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False)
    for axes, task in zip(panels.flat, tasks, strict=False):
        fill(axes, data, task)
        axes.set_title(task_label(task))
        layer_axis(axes, data.layers, room=1 / columns)
        _say_what_is_absent(axes, data, task, remarks)
    for position, axes in enumerate(panels.flat):
        if position >= len(tasks):
            axes.remove()
        elif position + columns < len(tasks):  # a panel follows below
            axes.set_xlabel("")
        else:
            axes.tick_params(labelbottom=True)
    figure.supylabel(ylabel, fontsize=8)
    lines = _legend(figure, list(panels.flat)[: len(tasks)])
    figure.set_size_inches(page_width_in(), 0.45 + _LEGEND_LINE_IN * lines + _PANEL_HEIGHT_IN * rows)
    return figure


def _legend(figure: Figure, panels: list[Axes]) -> int:
    """Put one legend above all panels. Returns its number of lines."""
    found = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    columns = legend_columns(list(found), most=3)
    if found:
        figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns)
    return math.ceil(len(found) / columns) if found else 0


def _say_what_is_absent(axes: Axes, data: ReportData, task: str, position: tuple[float, float]) -> None:
    lines: list[str] = []
    for method in data.methods:
        there, planned = len(data.drift(task, method)), len(data.planned(task, method))
        if there == 0:
            lines.append(f"{method_label(method)}: missing")
        elif there < planned:
            lines.append(f"{method_label(method)}: {there} of {counted(planned, 'run')}")
    if not np.isfinite(data.control_drift("identity", task)).any():
        lines.append("noise not measured")
    if lines:
        sides = {"ha": "left" if position[0] < 0.5 else "right", "va": "bottom" if position[1] < 0.5 else "top"}
        note(axes, "\n".join(lines), position, multialignment=sides["ha"], **sides)


MOST_METHODS = 3
"""With more methods than these, controls of single methods are drawn together, and points of single models not at all."""


def control_lines(axes: Axes, data: ReportData, task: str) -> None:
    """Draw thin lines for the drift between two seeds of one method and between two extractions of the base model.

    With many methods the largest drift between two seeds of any of them stands for all.
    """
    thin = {"linewidth": 0.9, "marker": lone_marker(data.layers)}
    many = len(data.methods) > MOST_METHODS
    if many:
        ceilings = np.array([data.control_drift("seed_ceiling", task, method) for method in data.methods])
        known = np.isfinite(ceilings).any(axis=0)
        if known.any():
            largest = np.where(known, np.nanmax(np.where(known, ceilings, 0.0), axis=0), np.nan)
            axes.plot(
                data.layers, largest, color=INK, linestyle=":", label="between seeds, largest of the methods", **thin
            )
    for method in [] if many else data.methods:
        ceiling = data.control_drift("seed_ceiling", task, method)
        if np.isfinite(ceiling).any():
            label = f"between seeds, {method_label(method)}"
            color = method_color(method, data.methods)
            axes.plot(data.layers, ceiling, color=color, linestyle=":", label=label, **thin)
    noise = data.control_drift("identity", task)
    if np.isfinite(noise).any():
        axes.plot(data.layers, noise, color=GREY, linestyle="--", label="base model twice (noise)", **thin)
