"""Correlations of the layer profiles of the tasks: a matrix for each method."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from repdrift.core.words import method_title, task_title
from repdrift.report.captioned_figure import put_caption
from repdrift.report.cell_numbers import CellNumber, CellNumbers
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted_names, wrapped
from repdrift.report.likeness_figure import two_decimals
from repdrift.report.panels import PanelPlan, draw_grid, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, HATCH, LIKENESS, method_names

_MOST_NAMED = 6
_KEY = "Correlation of the drifts of two tasks over layers: above the diagonal Pearson's, below Spearman's."


def _plan(data: ReportData) -> PanelPlan:
    return panel_plan(
        len(_methods(data)),
        _side_in(data) + 0.3,
        least_in=1.45 if len(data.tasks) <= _MOST_NAMED else 2.0,
        most_columns=3,
        besides_in=1.4,
    )


def _side_in(data: ReportData) -> float:
    """The side of a matrix."""
    return min(1.5, max(0.75, 0.36 * len(data.tasks)))


def draw(data: ReportData) -> Figure:
    """Pearson's correlation above the diagonal, Spearman's below it. Missing values are hatched. Tasks are named at the left, and by numbers below."""
    plan = _plan(data)
    tasks = data.tasks
    figure = Figure()
    panels = draw_grid(figure, plan, sharey=True)
    names = method_names(data.methods, plan.width_pt, FONT_PT)
    room = 60 if is_narrow() else 110
    labels = [f"{number} {name}" for number, name in enumerate(fitted_names([task_title(t) for t in tasks], room), 1)]
    image, numbers = None, CellNumbers()
    for axes, method in zip(panels, _methods(data), strict=False):
        image = _panel(axes, _matrix(data, method), numbers)
        panel_title(axes, names[method], (), plan.width_pt)
        axes.set_xticks(range(len(tasks)), [str(number) for number in range(1, len(tasks) + 1)])
        axes.set_yticks(range(len(tasks)), labels)
    if image is not None:
        bar = figure.colorbar(
            image,
            ax=panels,
            location="bottom" if is_narrow() else "right",
            aspect=25,
            fraction=0.06,
            pad=0.03,
            ticks=[-1, 0, 1],
        )
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.set_label("correlation over layers" if is_narrow() else "correlation")
    key = put_caption(figure, wrapped(_KEY, 72 * page_width_in() - 14, NOTE_PT))
    figure.set_size_inches(page_width_in(), plan.rows * (_side_in(data) + 0.42) + (0.55 if is_narrow() else 0.1) + key)
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


def _panel(axes: Axes, values: np.ndarray, numbers: CellNumbers) -> AxesImage:
    image = axes.imshow(values, cmap=LIKENESS, norm=Normalize(-1, 1), aspect="equal", interpolation="nearest")
    for row, column in np.ndindex(values.shape):
        box = (column - 0.5, row - 0.5)
        if row == column:
            axes.add_patch(Rectangle(box, 1, 1, facecolor="0.93", linewidth=0))
        elif np.isnan(values[row, column]):
            axes.add_patch(Rectangle(box, 1, 1, facecolor="white", edgecolor=GREY, hatch=HATCH, linewidth=0))
    side = len(values)
    numbers.write(axes, side, side, (
        CellNumber(row, column, two_decimals(value), LIKENESS(float(1 + value) / 2))
        for (row, column), value in np.ndenumerate(values) if row != column and np.isfinite(value)
    ))  # fmt: skip
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
        + _plan(data).says_what_is_left_out("the tables have all methods")
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
