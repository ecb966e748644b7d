"""Panels in which several methods, each against the reference, stand side by side: by task, and by layer over all tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import NOTE_PT
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, legend_columns, method_color, method_label, method_marker, name_axis

WIDTHS = (1.0, 1.15)
LEGEND_LINE_IN = 0.15
_SPREAD = 0.7
"""Width over which the methods' marks at one task are spread; neighbouring tasks are 1 apart."""


def task_names(data: ReportData) -> list[str]:
    """The tasks of the axis, with all of them together last if there are several."""
    return [*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks


def task_axis(axes: Axes, data: ReportData) -> None:
    """Name the tasks, with faint lines between them."""
    names = task_names(data)
    name_axis(axes, [task_title(name) for name in names], 0.82 * page_width_in() * WIDTHS[0] / sum(WIDTHS))
    for border in range(1, len(names)):
        axes.axvline(border - 0.5, color=FAINT, linewidth=0.6, zorder=0)


def placed(data: ReportData) -> list[tuple[ReportData, str, float, str, str]]:
    """Every contrast with its method, its place beside a task, its colour and its marker."""
    several = len(data.contrasts)
    step = _SPREAD / max(1, several - 1)
    found = []
    for number, contrast in enumerate(data.contrasts):
        method = contrast.results.study.comparison_method
        place = (number - (several - 1) / 2) * step
        found.append((contrast, method, place, method_color(method, data.methods), method_marker(method, data.methods)))
    return found


def mark_size(data: ReportData, count: int) -> float:
    """Size of the marks of `count` positions beside each other, so that they can be told apart."""
    return max(1.8, min(4.5, 110 / max(1, count), 22 / len(data.contrasts) + 1.5))


def by_layer(axes: Axes, data: ReportData, values: Sequence[Iterable[float | None]], held: Sequence[set[int]]) -> None:
    """Draw a line over the layers for each contrast. A mark is full in the layers of `held`, and hollow in the others."""
    size = mark_size(data, 2 * len(data.layers))
    for (_, _, _, color, marker), of_layer, full in zip(placed(data), values, held, strict=True):
        heights = np.array([np.nan if v is None else v for v in of_layer], dtype=float)
        axes.plot(data.layers, heights, color=color, linewidth=1.1, zorder=2)
        for layer, height in zip(data.layers, heights, strict=True):
            face = color if layer in full else "white"
            style = {"markerfacecolor": face, "markersize": size, "markeredgewidth": 0.8, "clip_on": False}
            axes.plot(layer, height, marker, color=color, zorder=2.5, **style)


def arm_keys(data: ReportData) -> list[tuple[Artist, str]]:
    """Entries for the legend: the colour and marker of each method that is compared with the reference."""
    return [
        (Line2D([], [], color=color, marker=marker, markersize=4.5, linewidth=1.1), method_label(method))
        for _, method, _, color, marker in placed(data)
    ]


def legend(figure: Figure, entries: Sequence[tuple[Artist, str]], height_in: float) -> None:
    """Put the legend above the panels, and make the figure as high as both need. height_in: of the panels."""
    labels = [label for _, label in entries]
    columns = legend_columns(labels, NOTE_PT, most=max(2, math.ceil(len(entries) / 2)))
    figure.legend(
        [handle for handle, _ in entries], labels, loc="outside upper center", ncols=columns, fontsize=NOTE_PT, columnspacing=1.2
    )  # fmt: skip
    figure.set_figheight(height_in + LEGEND_LINE_IN * math.ceil(len(entries) / columns))
