"""The whole analysis: sets in, results, tidy table and summary out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from repdrift.core.errors import MissingRunError, SampleSetMismatchError
from repdrift.core.records.results import DriftResults, StudyInfo
from repdrift.core.versions import library_versions
from repdrift.drift.cautions import cautions
from repdrift.drift.hypotheses import reductions_and_tests
from repdrift.drift.output import write_analysis
from repdrift.drift.pairing import TaskSets, find_runs, open_task, require_one_study
from repdrift.drift.plan import DriftPlan
from repdrift.drift.sanity import sanity_checks
from repdrift.drift.table import measure_tasks
from repdrift.drift.undefined import without_value
from repdrift.drift.weight_rows import weight_rows
from repdrift.similarity import measure


def analyze(plan: DriftPlan, output_dir: Path) -> tuple[DriftResults, pd.DataFrame]:
    """Measure, test and write RESULTS_FILE, TABLE_PARQUET, TABLE_CSV and SUMMARY_FILE to `output_dir`.

    Everything is computed before the first file is written. Returns the results and the tidy table.
    Raises MissingRunError, with the commands, if no run is there or a base model's set is not; SampleSetMismatchError
    if sets must not be compared; NonFiniteError and DegenerateInputError naming set and layer; StorageError.
    """
    found = {task: find_runs([s for s in plan.sets if s.task == task]) for task in plan.tasks}
    statuses = [status for runs in found.values() for status in runs.statuses]
    if not any(runs.runs for runs in found.values()):
        commands = "\n    ".join(dict.fromkeys(s.command for s in plan.sets if s.step == 0))
        raise MissingRunError(
            f"none of the {len(plan.sets)} planned representation sets is there. Make them with:\n    {commands}"
        )
    tasks = [open_task(task, plan.bases[task], runs.runs) for task, runs in found.items() if runs.runs]
    require_one_study(tasks)
    base = tasks[0].base.metadata
    _require_model(tasks[0], plan)
    measured = measure_tasks(tasks, list(plan.measures), plan.primary_measure)
    measured.rows += weight_rows(tasks)
    table = measured.table()
    reductions, tests, warnings = reductions_and_tests(table, plan)
    results = DriftResults(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        study=StudyInfo(
            name=plan.study,
            model=base.model,
            model_revision=base.model_revision,
            tasks=list(plan.tasks),
            methods=list(plan.methods),
            seeds=list(plan.seeds),
            n_layers=len(base.layers),
            pooling=base.pooling,
            primary_measure=plan.primary_measure,
            measures=list(plan.measures),
            measure_titles={name: measure(name).title for name in plan.measures},
            distances=[name for name in plan.measures if not measure(name).higher_is_similar],
            reference_method=plan.reference_method,
            comparison_method=plan.comparison_method,
            target_reduction=plan.target_reduction,
            alpha=plan.alpha,
        ),
        runs=statuses,
        reductions=reductions,
        tests=tests,
        controls=measured.controls,
        sanity=sanity_checks(table, measured.controls, measured.top_feature_share, plan, tasks),
        warnings=[
            *cautions(statuses, tasks, table, plan),
            *without_value(measured.undefined, base.layers),
            *warnings,
        ],
    )
    write_analysis(results, table, output_dir)
    return results, table


def _require_model(sets: TaskSets, plan: DriftPlan) -> None:
    found = sets.base.metadata.model
    if plan.model is not None and found != plan.model:
        raise SampleSetMismatchError(
            f"the study's base model is {plan.model!r}, the sets in {sets.base.folder} are of {found!r}. "
            "Give the study that made them with --config."
        )
