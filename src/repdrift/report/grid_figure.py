"""The figure of a comparison's layer grids: the base model with itself, then with every tuned model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.layer_grid import GridMatrix, ModelGrid
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.shared_paths import shareable
from repdrift.report.captioned_figure import caption_lines_of, put_caption
from repdrift.report.figure_size import page_width_in
from repdrift.report.grid_panels import GridPanel, draw_panels, grid_plan
from repdrift.report.labels import plain
from repdrift.report.rendering import Drawing

FIGURE_NAME = "layer_grid"


def grid_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no model has a grid."""
    shared = shareable(result)
    grids = {
        model.name: model.moved.grid
        for model in shared.models
        if model.moved is not None and model.moved.grid is not None
    }
    if not grids:
        return None
    panels = [_own(next(iter(grids.values()))), *(_panel(name, grid) for name, grid in grids.items())]
    return lambda: _figure(shared.base, panels)


def _figure(base: str, panels: Sequence[GridPanel]) -> Figure:
    plan = grid_plan(len(panels))
    lines = caption_lines_of(
        [
            f"Every layer of {plain(base)} with every layer. Marks: best match of a column; filled if it is told from all others."
            + plan.says_what_is_left_out("grid.parquet has all models")
        ]
    )
    figure = Figure()
    height = draw_panels(figure, panels, plan)
    figure.set_size_inches(page_width_in(), height + put_caption(figure, lines))
    return figure


def matrix_values(matrix: GridMatrix) -> np.ndarray:
    """The values of a matrix, NaN where one is missing: (rows, columns)."""
    return np.array([[np.nan if v is None else v for v in row] for row in matrix.values], dtype=float)


def primary_matrix(grid: ModelGrid, kind: str) -> GridMatrix:
    """The matrix of one kind by the primary measure."""
    return next(m for m in grid.matrices if m.kind == kind and m.measure == PRIMARY_MEASURE)


def _own(grid: ModelGrid) -> GridPanel:
    matrix = primary_matrix(grid, "base_base")
    return GridPanel(
        "base with itself", "base layer", "base layer", matrix.row_layers, matrix.column_layers, matrix_values(matrix)
    )


def _panel(name: str, grid: ModelGrid) -> GridPanel:
    matrix = primary_matrix(grid, "base_tuned")
    best = [(at.layer, at.best, len(at.as_good) == 1) for at in grid.of_tuned]
    return GridPanel(
        name, "base layer", "tuned layer", matrix.row_layers, matrix.column_layers, matrix_values(matrix), best
    )
