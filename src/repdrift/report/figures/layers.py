"""Drift by layer: a panel for every task, a line for every method, with the spread over seeds and the controls."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.report.figures import FigureSpec, register
from repdrift.report.style import FULL_WIDTH_IN, GREY, layer_axis, method_color, method_marker, method_title, plain
from repdrift.report.tables import ReportData


def draw(data: ReportData) -> Figure:
    """Panels side by side, at most two a row, on one scale."""
    tasks = data.tasks
    columns = min(2, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    figure = Figure(figsize=(FULL_WIDTH_IN, 0.75 + 2.2 * rows))
    panels = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False)
    for index, task in enumerate(tasks):
        _panel(panels.flat[index], data, task)
        panels.flat[index].label_outer()
    for empty in list(panels.flat)[len(tasks) :]:
        empty.remove()
    for row in range(rows):
        panels[row, 0].set_ylabel("drift, 1 - debiased CKA")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(3, len(labels)))
    return figure


def _panel(axes: Axes, data: ReportData, task: str) -> None:
    for method in data.methods:
        drift = data.drift(task, method)
        if drift.empty:
            continue
        color = method_color(method, data.methods)
        layers = np.array(drift.columns, dtype=float)
        offset = 0.06 * (data.methods.index(method) - (len(data.methods) - 1) / 2)
        axes.fill_between(layers, drift.min(axis=0), drift.max(axis=0), color=color, alpha=0.18, linewidth=0)
        axes.plot(layers, drift.mean(axis=0), color=color, label=f"{method_title(method)} (mean)")
        marker = method_marker(method, data.methods)
        for seed in drift.index:
            axes.plot(
                layers + offset, drift.loc[seed], marker, color=color, markersize=2.6, markeredgewidth=0, alpha=0.75
            )
        ceiling = data.controls("seed_ceiling", task, method)
        if ceiling:
            axes.plot(
                [c.layer for c in ceiling],
                [np.nan if c.drift is None else c.drift for c in ceiling],
                color=color,
                linewidth=0.9,
                linestyle=":",
                label=f"between seeds, {method_title(method)}",
            )
    noise = data.controls("identity", task)
    if noise:
        values = [np.nan if c.drift is None else abs(c.drift) for c in noise]
        axes.plot(
            [c.layer for c in noise], values, color=GREY, linewidth=0.9, linestyle="--", label="noise (base twice)"
        )
    axes.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    axes.set_title(plain(task))
    layer_axis(axes, data.layers)


def caption(data: ReportData) -> str:
    """What is seen."""
    del data
    return (
        "Line: mean over seeds; points: single trained models; band: smallest to largest of them (not a confidence interval). "
        "Dotted: drift between two seeds of one method, the size that a difference must exceed to mean something. "
        "Dashed: the base model extracted twice."
    )


register(FigureSpec("drift_by_layer", 2, "Drift by layer", caption, draw))
