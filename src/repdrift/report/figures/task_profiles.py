"""Correlations of the layer profiles of the tasks: a matrix for each method."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from repdrift.core.words import method_title, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT, text_width_pt
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, HATCH, method_label, task_label

_COLUMNS = 2
_CELL_IN = 0.42
_LONGEST_NAME = 16
_SMALLEST_NUMBER_PT = 5.0


def draw(data: ReportData) -> Figure:
    """Pearson's correlation above the diagonal, Spearman's below it. Missing values are hatched."""
    methods, tasks = _methods(data), data.tasks
    columns = min(_COLUMNS, len(methods))
    rows = math.ceil(len(methods) / columns)
    side = min(_CELL_IN * max(len(tasks), 3), 2.3)
    labels = [task_label(task, _LONGEST_NAME) for task in tasks]
    slanted = text_width_pt(labels) + 4 > 72 * side / len(tasks)
    below = (0.2 + 0.6 * text_width_pt(labels) / 72) if slanted else 0.25
    figure = Figure(
        figsize=(page_width_in() if columns > 1 else 0.5 * page_width_in(), 0.35 + rows * (side + below + 0.3))
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    image = None
    for position, (axes, method) in enumerate(zip(panels, methods, strict=False)):
        image = _panel(axes, _matrix(data, method))
        axes.set_title(method_label(method))
        turn = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        axes.set_xticks(range(len(tasks)), labels, **turn)
        axes.set_yticks(range(len(tasks)), labels if position % columns == 0 else [""] * len(tasks))
    for axes in panels[len(methods) :]:
        axes.remove()
    if image is not None:
        bar = figure.colorbar(image, ax=panels[: len(methods)], fraction=0.04, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.set_label("correlation over layers")
    return figure


def _methods(data: ReportData) -> list[str]:
    known = {p.method for p in data.results.profiles if p.pearson is not None or p.spearman is not None}
    return [method for method in data.methods if method in known]


def _absent(data: ReportData) -> str | None:
    if len(data.tasks) < 2:
        return "the study has one task, so no two tasks can be held beside each other"
    return None if _methods(data) else "no two tasks have layer profiles that can be correlated"


def _matrix(data: ReportData, method: str) -> np.ndarray:
    """The correlations of one method, (tasks, tasks); NaN on the diagonal and where there is no correlation."""
    position = {task: number for number, task in enumerate(data.tasks)}
    values = np.full((len(position), len(position)), np.nan)
    for found in data.results.profiles:
        if found.method == method and {found.task, found.other_task} <= position.keys():
            low, high = sorted((position[found.task], position[found.other_task]))
            values[low, high] = np.nan if found.pearson is None else found.pearson
            values[high, low] = np.nan if found.spearman is None else found.spearman
    return values


def _panel(axes: Axes, values: np.ndarray) -> AxesImage:
    image = axes.imshow(values, cmap="PuOr", norm=Normalize(-1, 1), aspect="equal", interpolation="nearest")
    size = min(FONT_PT - 0.5, 60 / len(values))
    for (row, column), value in np.ndenumerate(values):
        if row == column:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.93", linewidth=0))
        elif np.isnan(value):
            box = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(box, 1, 1, facecolor="white", edgecolor=GREY, hatch=HATCH, linewidth=0))
        elif size >= _SMALLEST_NUMBER_PT:
            shade = "white" if abs(value) > 0.65 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=size, color=shade)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    missing = any(np.isnan(_matrix(data, m)[~np.eye(len(data.tasks), dtype=bool)]).any() for m in _methods(data))
    return (
        "Correlation over layers of the mean drifts of two tasks, under one method: above the diagonal Pearson's, below it Spearman's. Near "
        "1: the same layers drift on both tasks. There is no interval and no test, since layers are not independent."
        + (" Hatched: there is no correlation." if missing else "")
    )


def describe(data: ReportData) -> str:
    """Says for each method which two tasks are least and most alike."""
    parts: list[str] = []
    for method in _methods(data):
        found = [p for p in data.results.profiles if p.method == method and p.pearson is not None]
        if not found:
            parts.append(f"{method_title(method)}: Spearman's alone")
            continue
        least, most = (pick(found, key=lambda p: p.pearson or 0.0) for pick in (min, max))
        said = [
            f"{task_title(p.task)} and {task_title(p.other_task)} {p.pearson:.2f}"
            for p in ((least, most) if len(found) > 1 else (least,))
        ]
        parts.append(f"{method_title(method)}: {' to '.join(said)}")
    return f"Matrices of the likeness of layer profiles, Pearson's correlation. {'; '.join(parts)}."


register(
    FigureSpec("task_profiles", 9, "Do the same layers drift on all tasks", caption, describe, draw, absent=_absent)
)
