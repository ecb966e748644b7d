"""A grid of panels, one for each task, with one legend for all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.words import counted
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.labels import FONT_PT, wrapped
from repdrift.report.panels import PanelPlan, draw_grid, label_outer, legend_above, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, INK, layer_axis, lone_marker, method_color, method_names, task_names

_PANEL_IN = 1.75
MOST_METHODS = 3
"""With more methods than these, controls of single methods are drawn together, and points of single models not at all."""


def task_plan(data: ReportData) -> PanelPlan:
    """The arrangement of a panel for each task."""
    return panel_plan(len(data.tasks), _PANEL_IN + 0.25, besides_in=1.9)


def task_panels(
    data: ReportData,
    fill: Callable[[Axes, ReportData, str], None],
    *,
    ylabel: str,
    name_layers: Callable[[Axes, float], None] | None = None,
) -> Figure:
    """Returns a figure with a panel for every task that fits on a page, all on one scale.

    fill: draws into a panel, and labels what it draws. name_layers: names the x axis, where it is not that of layers.
    """
    plan = task_plan(data)
    figure = Figure()
    panels = draw_grid(figure, plan, sharey=True, sharex=True)
    remarks, names = 0, task_names(data.tasks, plan.width_pt, FONT_PT)
    for axes, task in zip(panels, data.tasks, strict=False):
        fill(axes, data, task)
        said = what_is_absent(data, task)
        panel_title(axes, names[task], said, plan.width_pt)
        remarks += bool(said)
        if name_layers is None:
            layer_axis(axes, data.layers, plan.room)
        else:
            name_layers(axes, plan.room)
    label_outer(panels, plan)
    figure.supylabel("\n".join(wrapped(ylabel, 72 * _PANEL_IN * plan.rows)), fontsize=FONT_PT)
    height = named_legend(figure, panels)
    figure.set_size_inches(page_width_in(), 0.35 + height + plan.rows * _PANEL_IN + 0.13 * min(remarks, plan.rows))
    return figure


def named_legend(figure: Figure, panels: list[Axes]) -> float:
    """Put one legend of all that is labelled above the panels. Returns its height in inches."""
    found = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return legend_above(figure, list(found.values()), list(found), most=2 if is_narrow() else 4)


def what_is_absent(data: ReportData, task: str) -> list[str]:
    """Remarks on a task: methods without models or with fewer than planned, and noise that was not measured."""
    names, said = method_names(data.methods), []
    for method in data.methods:
        there, planned = len(data.drift(task, method)), len(data.planned(task, method))
        if there == 0:
            said.append(f"{names[method]}: missing")
        elif there < planned:
            said.append(f"{names[method]}: {there} of {counted(planned, 'run')}")
    return said if np.isfinite(data.control_drift("identity", task)).any() else [*said, "noise not measured"]


def control_lines(axes: Axes, data: ReportData, task: str) -> None:
    """Draw thin lines for the drift between two seeds of one method and between two extractions of the base model.

    Each has the colour of its method. With many methods the largest drift between two seeds of any of them stands for all.
    """
    thin = {"linewidth": 0.9, "marker": lone_marker(data.layers)}
    ceilings = np.array([data.control_drift("seed_ceiling", task, method) for method in data.methods])
    known = np.isfinite(ceilings)
    if known.any():
        seeds = {"linestyle": ":", **thin}
        axes.plot([], [], color=INK, label="between two seeds", **seeds)
        if len(data.methods) > MOST_METHODS:
            largest = np.where(known.any(axis=0), np.where(known, ceilings, -np.inf).max(axis=0), np.nan)
            axes.plot(data.layers, largest, color=INK, **seeds)
        else:
            for method, ceiling in zip(data.methods, ceilings, strict=True):
                axes.plot(data.layers, ceiling, color=method_color(method, data.methods), **seeds)
    noise = data.control_drift("identity", task)
    if np.isfinite(noise).any():
        axes.plot(data.layers, noise, color=GREY, linestyle="--", label="base model twice", **thin)
