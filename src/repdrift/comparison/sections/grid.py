"""Section of a comparison: similarity of every layer with every other, and where content stands now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from repdrift.comparison.sections import ComparisonSection, SectionFound, SectionInputs, UnpairedRows, register
from repdrift.comparison.unpaired import ONLY_SUMS, descends
from repdrift.core.errors import DataError, RepdriftError
from repdrift.core.layer_grid_words import worded_grid
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.layer_grid import GRID_TABLE, ModelGrid
from repdrift.core.worded_section import WordedSection
from repdrift.drift.layer_grid_records import TIES, BaseGrid, GridUnits
from repdrift.extraction.row_index import RowIndex
from repdrift.tasks import SampleSet

if TYPE_CHECKING:
    from repdrift.report.rendering import Drawing

COLUMNS = ["model", "kind", "measure", "layer_row", "layer_column", "value"]


def _measure(inputs: SectionInputs) -> SectionFound:
    if inputs.rows is None:
        raise DataError(ONLY_SUMS)
    options = inputs.options
    named = options.measures if "measures" in options.model_fields_set else ()
    tie = TIES[options.compute_dtype]
    by_token = options.pooling == "tokens"
    base = BaseGrid(inputs.rows.base, _units(inputs.samples, by_token=by_token), "token" if by_token else "text", tie)
    found: dict[str, ModelGrid] = {}
    left_out: dict[str, str] = {}
    for tuned in inputs.tuned:
        try:
            found[tuned.name] = base.with_model(inputs.rows.tuned[tuned.name], measures=named)
        except RepdriftError as error:
            left_out[tuned.name] = str(error)
    for tuned in inputs.unpaired:
        rows = inputs.rows.unpaired[tuned.name]
        try:
            found[tuned.name] = _unpaired_base(inputs, rows, base).with_model(
                rows.tuned, by_number=descends(inputs.base, tuned.source), measures=named, notes=rows.notes
            )
        except RepdriftError as error:
            left_out[tuned.name] = str(error)
    return SectionFound(found, left_out=left_out)


def _unpaired_base(inputs: SectionInputs, rows: UnpairedRows, base: BaseGrid) -> BaseGrid:
    """The base model's side for a model without counterparts: that of all others where its rows are the same."""
    if inputs.rows is not None and rows.base is inputs.rows.base:
        return base
    unit = inputs.samples.group_unit if inputs.samples.groups is not None else "text"
    n = int(next(iter(rows.base.values())).shape[0])
    return BaseGrid(rows.base, GridUnits.of(n, rows.groups, unit), rows.row_is, base.tie)


def _units(samples: SampleSet, *, by_token: bool) -> GridUnits:
    """Units of the intervals: samples, their groups, or for rows of tokens the texts that they stand in."""
    if not by_token:
        return GridUnits.of(len(samples), samples.groups, samples.group_unit)
    index = RowIndex(samples, "tokens")
    groups = samples.groups or [str(number) for number in range(len(samples))]
    owners = [groups[index.sample_of(row)] for row in range(index.n_rows)]
    return GridUnits.of(index.n_rows, owners, samples.group_unit if samples.groups else "text")


def grid_of(model: ComparedModel) -> ModelGrid | None:
    """The grid of a model, if it has one."""
    return None if model.moved is None else model.moved.grid


def grid_table(result: Comparison) -> pd.DataFrame:
    """One row for each model, kind of grid, measure and pair of layers; a missing value is NaN."""
    rows = [
        (model.name, matrix.kind, matrix.measure, row, column, value)
        for model in result.models
        if (grid := grid_of(model)) is not None
        for matrix in grid.matrices
        for row, values in zip(matrix.row_layers, matrix.values, strict=True)
        for column, value in zip(matrix.column_layers, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value": "float64"})


def _tables(result: Comparison) -> dict[str, pd.DataFrame]:
    return {GRID_TABLE: grid_table(result)} if any(grid_of(model) is not None for model in result.models) else {}


def _worded(_result: Comparison, model: ComparedModel) -> WordedSection | None:
    grid = grid_of(model)
    return None if grid is None else worded_grid(grid)


def _drawings(result: Comparison) -> dict[str, Drawing | None]:
    from repdrift.report.grid_figure import FIGURE_NAME, grid_drawing

    return {FIGURE_NAME: grid_drawing(result)}


register(ComparisonSection("grid", 50, True, _measure, _tables, _worded, drawings=_drawings))
