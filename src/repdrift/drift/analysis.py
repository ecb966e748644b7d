"""The whole analysis: sets in, results, tidy table and summary out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from repdrift.core.atomic import atomic_path, write_text
from repdrift.core.errors import MissingRunError, SampleSetMismatchError
from repdrift.core.records.results import (
    RESULTS_FILE,
    SUMMARY_FILE,
    TABLE_CSV,
    TABLE_PARQUET,
    DriftResults,
    RunStatus,
    StudyInfo,
)
from repdrift.core.versions import library_versions
from repdrift.drift.hypotheses import reductions_and_tests
from repdrift.drift.pairing import TaskSets, open_task
from repdrift.drift.plan import DriftPlan
from repdrift.drift.sanity import sanity_checks
from repdrift.drift.summary import summary_markdown
from repdrift.drift.table import measure_tasks


def analyze(plan: DriftPlan, output_dir: Path) -> tuple[DriftResults, pd.DataFrame]:
    """Measure, test and write RESULTS_FILE, TABLE_PARQUET, TABLE_CSV and SUMMARY_FILE to `output_dir`.

    Everything is computed before the first file is written. Returns the results and the tidy table.
    Raises MissingRunError, with the commands, if no run is there; other errors as `open_task` and the measures do.
    """
    opened = [open_task(task, plan.bases[task], [s for s in plan.sets if s.task == task]) for task in plan.tasks]
    tasks = [sets for sets in opened if sets is not None and sets.runs]
    statuses = [status for sets in opened if sets is not None for status in sets.statuses]
    if not tasks:
        commands = "\n    ".join(dict.fromkeys(s.command for s in plan.sets if s.step == 0))
        raise MissingRunError(
            f"none of the {len(plan.sets)} planned representation sets is there. Make them with:\n    {commands}"
        )
    model, revision = _base_model(tasks, plan)
    measured = measure_tasks(tasks, list(plan.measures))
    table = measured.table()
    reductions, tests, warnings = reductions_and_tests(table, plan)
    any_set = tasks[0].base.metadata
    results = DriftResults(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        study=StudyInfo(
            name=plan.study,
            model=model,
            model_revision=revision,
            tasks=list(plan.tasks),
            methods=list(plan.methods),
            seeds=list(plan.seeds),
            n_layers=len(any_set.layers),
            pooling=any_set.pooling,
            primary_measure=plan.primary_measure,
            measures=list(plan.measures),
            reference_method=plan.reference_method,
            comparison_method=plan.comparison_method,
            target_reduction=plan.target_reduction,
            alpha=plan.alpha,
        ),
        runs=statuses,
        reductions=reductions,
        tests=tests,
        controls=measured.controls,
        sanity=sanity_checks(
            table,
            measured.controls,
            measured.top_feature_share,
            plan,
            n_sets=sum(len(sets.runs) for sets in tasks),
            dtype=any_set.compute_dtype if any_set.compute_dtype != "float32" else any_set.dtype,
        ),
        warnings=[*_missing(statuses), *_unchanged(table), *_truncated(tasks), *warnings],
    )
    _write(results, table, output_dir)
    return results, table


def _base_model(tasks: list[TaskSets], plan: DriftPlan) -> tuple[str, str | None]:
    """The base model that all sets name. Raises SampleSetMismatchError if they, or the study, name different ones."""
    digests = {sets.base.metadata.weights_digest: sets.base for sets in tasks}
    if len(digests) > 1:
        folders = " and ".join(str(found.folder) for found in list(digests.values())[:2])
        raise SampleSetMismatchError(f"{folders} are of different base models: one study has one. Extract them again.")
    found = tasks[0].base.metadata
    if plan.model is not None and found.model != plan.model:
        raise SampleSetMismatchError(
            f"the study's base model is {plan.model!r}, the sets in {tasks[0].base.folder} are of {found.model!r}. "
            "Give the study that made them with --config."
        )
    return found.model, found.model_revision


def _missing(statuses: list[RunStatus]) -> list[str]:
    absent = [status for status in statuses if status.status != "ok"]
    if not absent:
        return []
    named = "; ".join(f"{s.task}, {s.method}, seed {s.seed}" + (f", step {s.step}" if s.step else "") for s in absent)
    return [
        f"{len(absent)} of {len(statuses)} planned runs are not there ({named}): nothing is said about them, and no number stands in for them."
    ]


def _unchanged(table: pd.DataFrame) -> list[str]:
    warnings = []
    primary = table[table["measure"] == "cka"]
    for (task, method, seed, step), rows in primary.groupby(["task", "method", "seed", "step"], sort=False):
        if bool((rows["drift"].abs() <= 1e-12).all()):
            warnings.append(
                f"{task}, {method}, seed {seed}, step {step}: drift is exactly zero in every layer. The fine-tune changes nothing: "
                "an adapter whose B is zero or that was not loaded, training that took no step, or the base model under another name."
            )
    return warnings


def _truncated(tasks: list[TaskSets]) -> list[str]:
    return [
        f"Task {sets.task}: {cut} of {len(sets.base.metadata.sample_ids)} samples were cut at the maximum length, alike for all models."
        for sets in tasks
        if (cut := sets.base.metadata.truncated_samples)
    ]


def _write(results: DriftResults, table: pd.DataFrame, output_dir: Path) -> None:
    with atomic_path(output_dir / TABLE_PARQUET) as temporary:
        table.to_parquet(temporary, index=False)
    write_text(output_dir / TABLE_CSV, table.to_csv(index=False))
    write_text(output_dir / SUMMARY_FILE, summary_markdown(results, table))
    results.write(output_dir / RESULTS_FILE)  # last: who finds it finds the others
