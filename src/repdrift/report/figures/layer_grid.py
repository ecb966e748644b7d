"""Layer grids of a study: the base model with itself, and the mean over the final models of each method."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.records.layer_grid import GridMatrix, StudyGrid
from repdrift.core.words import counted, method_title, short_number, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.grid_figure import matrix_values
from repdrift.report.grid_panels import GridPanel, draw_panels, grid_plan
from repdrift.report.report_data import ReportData
from repdrift.report.style import method_names


def _grid(data: ReportData) -> StudyGrid | None:
    return None if data.results.moved is None else data.results.moved.grid


def draw(data: ReportData) -> Figure:
    """The heatmaps, task by task. Missing values are hatched, never coloured."""
    panels = _panels(data)
    figure = Figure()
    height = draw_panels(figure, panels, grid_plan(len(panels)))
    figure.set_size_inches(page_width_in(), height)
    return figure


def _panels(data: ReportData) -> list[GridPanel]:
    """The base model with itself, then every method, task by task."""
    grid = _grid(data)
    panels: list[GridPanel] = []
    names = method_names(list(dict.fromkeys(of.method for of in grid.methods)) if grid is not None else [], 90)
    for task in grid.tasks if grid is not None else ():
        panels.append(_panel(task_title(task.task), "base model", "base layer", task.base_base))
        of_task = [of for of in grid.methods if of.task == task.task] if grid is not None else []
        panels += [_panel(task_title(of.task), names[of.method], "tuned layer", of.base_tuned) for of in of_task]
    return panels


def _panel(title: str, remark: str, columns: str, matrix: GridMatrix) -> GridPanel:
    return GridPanel(
        title, "base layer", columns, matrix.row_layers, matrix.column_layers, matrix_values(matrix), remark=remark
    )


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    return (
        "Debiased CKA of every layer with every layer, mean over seeds. A bright diagonal: layers keep their place; a bright line beside it: content stands in "
        f"other layers than before.{grid_plan(len(_panels(data))).says_what_is_left_out('grid.parquet has all')}"
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
