"""Marks of scatter figures: a method's mark and colour, filled by the task; and their legend."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.report.panels import legend_above
from repdrift.report.report_data import ReportData
from repdrift.report.style import INK, method_look, method_names, task_names

_FILLINGS = ("full", "none", "left", "top", "right", "bottom")
_DOT: dict[str, Any] = {"markersize": 4.8, "markeredgewidth": 0.8}


def draw_mark(axes: Axes, x: float, y: float, task: str, method: str, data: ReportData) -> None:
    """Draw the mark of a method on a task."""
    look = method_look(method, data.methods)
    axes.plot(x, y, look.marker, color=look.color, **_DOT, **_fill(task, data))


def _fill(task: str, data: ReportData) -> dict[str, Any]:
    """The filling of a task's marks: full, hollow, or one of four halves; fillings repeat from the seventh task on."""
    style = _FILLINGS[data.tasks.index(task) % len(_FILLINGS)]
    return {"fillstyle": style, "markerfacecoloralt": "white"}


def legend_of_marks(figure: Figure, data: ReportData, marks: Collection[tuple[str, str]]) -> float:
    """Add the legend: methods by mark, then tasks by filling where the study has several. marks: tasks and methods that are drawn. Returns its height in inches."""
    entries: list[tuple[Artist, str]] = []
    methods, tasks = method_names(data.methods), task_names(data.tasks)
    for method in [m for m in data.methods if any(of == m for _, of in marks)]:
        look = method_look(method, data.methods)
        entries.append((Line2D([], [], color=look.color, marker=look.marker, linewidth=0, **_DOT), methods[method]))
    several = [t for t in data.tasks if any(task == t for task, _ in marks)] if len(data.tasks) > 1 else []
    entries += [
        (Line2D([], [], color=INK, marker="o", linewidth=0, **_DOT, **_fill(task, data)), tasks[task])
        for task in several
    ]
    return legend_above(figure, [handle for handle, _ in entries], [label for _, label in entries])
