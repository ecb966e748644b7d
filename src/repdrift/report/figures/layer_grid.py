"""Layer grids of a study: the base model with itself, and the mean over the final models of each method."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.records.layer_grid import GridMatrix, StudyGrid
from repdrift.core.words import counted, method_title, short_number, task_title
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.grid_figure import matrix_values
from repdrift.report.grid_panels import MOST_PANELS, GridPanel, draw_panels
from repdrift.report.report_data import ReportData
from repdrift.report.style import method_label, task_label


def _grid(data: ReportData) -> StudyGrid | None:
    return None if data.results.moved is None else data.results.moved.grid


def draw(data: ReportData) -> Figure:
    """The heatmaps, task by task. Missing values are hatched, never coloured."""
    grid = _grid(data)
    panels: list[GridPanel] = []
    for task in grid.tasks if grid is not None else ():
        panels.append(_panel(f"{task_label(task.task)}: base", "base layer", task.base_base))
        of_task = [of for of in grid.methods if of.task == task.task] if grid is not None else []
        panels += [
            _panel(f"{task_label(of.task)}: {method_label(of.method)}", "tuned layer", of.base_tuned) for of in of_task
        ]
    return draw_panels(panels, "Similarity of every layer with every layer")


def _panel(title: str, columns: str, matrix: GridMatrix) -> GridPanel:
    return GridPanel(title, "base layer", columns, matrix.row_layers, matrix.column_layers, matrix_values(matrix))


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    grid = _grid(data)
    count = 0 if grid is None else len(grid.tasks) + len(grid.methods)
    more = f" The first {MOST_PANELS} of {count} panels; grid.parquet has all." if count > MOST_PANELS else ""
    return (
        "Debiased CKA of every layer with every layer, mean over seeds. A bright diagonal: layers keep their place; a bright line beside it: content stands in "
        f"other layers than before.{more}"
    )


def describe(data: ReportData) -> str:
    """Says how many panels there are, and the smallest and largest similarity on the diagonal."""
    grid = _grid(data)
    if grid is None:
        return "No layer grid."
    diagonals = {(of.task, of.method): np.diag(matrix_values(of.base_tuned)) for of in grid.methods}
    said = [
        f"{task_title(task)}, {method_title(method)}: {short_number(float(np.nanmin(values)))} to {short_number(float(np.nanmax(values)))}"
        for (task, method), values in diagonals.items()
        if np.isfinite(values).any()
    ]
    return f"Heatmaps of {counted(len(grid.methods), 'mean grid')}. Similarity with the base layer of the same number: {'; '.join(said)}."


register(
    FigureSpec(
        "layer_grid",
        26,
        "Every layer with every layer",
        caption,
        describe,
        draw,
        lambda data: None if (grid := _grid(data)) and grid.methods else no_section(data, "grid"),
    )
)
