"""The section on layer grids in a study: every layer of each final model with every layer of its base model, and the mean of each method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.layer_grid import GRID_TABLE, GridMatrix, MethodGrid, ModelGrid, RunGrid, StudyGrid, TaskGrid
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.words import method_title, task_title
from repdrift.drift.inference.layer_moves import layer_move_contrasts
from repdrift.drift.layer_grid_records import TIES, BaseGrid, GridUnits
from repdrift.drift.task_sets import TaskSets
from repdrift.drift.what_moved import StudyFound, StudyInputs, StudySection, register
from repdrift.drift.what_moved.directions import StoredRows, settings_of

_COLUMNS = ["task", "method", "seed", "kind", "measure", "layer_row", "layer_column", "value"]
_Row = tuple[str, str, int, str, str, int, int, float | None]


def measure(inputs: StudyInputs) -> StudyFound:
    """Compares the final model of every run with its base model, task by task. Raises DegenerateInputError if there is no final model."""
    runs: list[RunGrid] = []
    methods: list[MethodGrid] = []
    tasks: list[TaskGrid] = []
    left_out: list[str] = []
    rows: list[_Row] = []
    for sets in inputs.tasks:
        found = _of_task(sets, inputs.plan.grid_measures, left_out)
        if not found:
            left_out.append(f"{task_title(sets.task)}: no final model has a grid.")
            continue
        tasks.append(TaskGrid(task=sets.task, base_base=_matrix(found[0].found, "base_base")))
        names = dict.fromkeys(run.method for run in found)
        methods += [_mean(sets.task, name, [run for run in found if run.method == name]) for name in names]
        rows += [row for run in found for row in _rows(run)]
        runs += [run.model_copy(update={"found": run.found.model_copy(update={"matrices": []})}) for run in found]
    if not runs:
        raise DegenerateInputError(" ".join(left_out) or "no run has a final model with representations")
    table = pd.DataFrame(rows, columns=_COLUMNS).astype({"value": "float64"})
    record = StudyGrid(
        runs=runs,
        methods=methods,
        tasks=tasks,
        contrasts=layer_move_contrasts(runs, inputs.plan),
        left_out=left_out,
    )
    return StudyFound(record, {GRID_TABLE: table})


def _of_task(sets: TaskSets, measures: Sequence[str], left_out: list[str]) -> list[RunGrid]:
    metadata = sets.base.metadata
    by_token = metadata.pooling == "tokens"
    groups = settings_of(sets.base)
    base_rows = StoredRows(sets.base)
    n = int(base_rows[sets.base.layers[0]].shape[0])
    units = GridUnits.of(n, groups.groups, groups.unit)
    base = BaseGrid(
        base_rows, units, "token" if by_token else "text", TIES.get(metadata.compute_dtype, TIES["bfloat16"])
    )
    found: list[RunGrid] = []
    for run in sets.runs:
        if run.plan.step != 0:
            continue
        plan = run.plan
        say(f"layer grid: {plan.task}, {plan.method}, seed {plan.seed}")
        try:
            grid = base.with_model(StoredRows(run.stored), measures=measures)
        except RepdriftError as error:
            left_out.append(f"{task_title(plan.task)}, {method_title(plan.method)}, seed {plan.seed}: {error}.")
            continue
        found.append(RunGrid(task=plan.task, method=plan.method, seed=plan.seed, found=grid))
    return found


def _matrix(grid: ModelGrid, kind: str) -> GridMatrix:
    return next(matrix for matrix in grid.matrices if (matrix.kind, matrix.measure) == (kind, PRIMARY_MEASURE))


def _mean(task: str, method: str, runs: list[RunGrid]) -> MethodGrid:
    matrices = [_matrix(run.found, "base_tuned") for run in runs]
    values = np.mean([[[np.nan if v is None else v for v in row] for row in m.values] for m in matrices], axis=0)
    mean = matrices[0].model_copy(
        update={"values": [[float(v) if np.isfinite(v) else None for v in row] for row in values]}
    )
    return MethodGrid(task=task, method=method, seeds=[run.seed for run in runs], base_tuned=mean)


def _rows(run: RunGrid) -> list[_Row]:
    return [
        (run.task, run.method, run.seed, matrix.kind, matrix.measure, row, column, value)
        for matrix in run.found.matrices
        for row, values in zip(matrix.row_layers, matrix.values, strict=True)
        for column, value in zip(matrix.column_layers, values, strict=True)
    ]


register(StudySection("grid", 50, (GRID_TABLE,), measure))
