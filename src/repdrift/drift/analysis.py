"""The whole analysis: from representation sets to results, tidy table and summary."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from repdrift.core.atomic import require_writable
from repdrift.core.errors import MissingRunError, SampleSetMismatchError
from repdrift.core.hidden_secrets import without_secrets
from repdrift.core.progress import say
from repdrift.core.records.base import library_versions
from repdrift.core.records.results import DriftResults
from repdrift.core.records.study_info import StudyInfo
from repdrift.core.words import task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.chosen_measures import without_value
from repdrift.drift.group_cautions import data_notes, group_cautions
from repdrift.drift.hidden_texts import without_texts
from repdrift.drift.inference import draw_conclusions
from repdrift.drift.inference.site_claims import site_drifts
from repdrift.drift.layer_measurement import tidy_table
from repdrift.drift.measured_outcomes import study_outcomes
from repdrift.drift.measurement import measure_tasks
from repdrift.drift.result_files import write_analysis
from repdrift.drift.sanity import sanity_checks
from repdrift.drift.set_cautions import set_cautions
from repdrift.drift.set_checks import require_one_study
from repdrift.drift.site_measurement import measure_sites, missing_sites
from repdrift.drift.task_sets import TaskSets, find_runs, open_task
from repdrift.drift.trained_runs import trained_runs
from repdrift.drift.weight_rows import weight_rows
from repdrift.drift.what_moved import StudyInputs, measure_sections
from repdrift.similarity import measure

_NAMED = 4
"""Commands that a message lists."""


def analyze(plan: DriftPlan, output_dir: Path) -> tuple[DriftResults, pd.DataFrame]:
    """Measure the drift of every run, test the hypotheses, and write the files of an analysis to `output_dir`.

    Everything is computed before the first file is written. Returns the results and the tidy table.
    Raises MissingRunError, with the commands that make them, if there is no run or no set of a base model. Raises
    SampleSetMismatchError or CorruptSetError for sets that must not be compared, NonFiniteError and DegenerateInputError
    naming set and layer, and StorageError if a file cannot be written.
    """
    present = {task: find_runs([s for s in plan.sets if s.task == task]) for task in plan.tasks}
    statuses = [status for runs in present.values() for status in runs.statuses]
    if not any(runs.runs for runs in present.values()):
        commands = list(dict.fromkeys(s.command for s in plan.sets if s.step == 0))
        more = f"\n    and {len(commands) - _NAMED} more" if len(commands) > _NAMED else ""
        raise MissingRunError(
            f"none of the {len(plan.sets)} planned representation sets is there. `repdrift status` says which runs are trained; "
            "`repdrift run` makes all that is missing. One at a time:\n    " + "\n    ".join(commands[:_NAMED]) + more
        )
    tasks = [
        open_task(task, plan.bases[task], runs.runs, plan.random_changes) for task, runs in present.items() if runs.runs
    ]
    require_one_study([sets.base for sets in tasks])
    base = tasks[0].base.metadata
    _require_model(tasks[0], plan)
    require_writable(output_dir)
    outcomes = study_outcomes(plan, tasks, statuses)
    measured = measure_tasks(tasks, plan.measures, plan.primary_measure, plan.sampling, grouped=plan.grouped_tasks)
    measured.rows += weight_rows(tasks)
    inside = measure_sites(tasks, plan.measures, plan.primary_measure, plan.sampling, grouped=plan.grouped_tasks)
    residual = measured.table()
    table = tidy_table([*measured.rows, *inside.rows]) if inside.rows else residual
    stream_draws = {task: d for (task, name), d in measured.draws.items() if name == plan.primary_measure}
    say("drawing conclusions: permutations, intervals, ranks")
    found = draw_conclusions(
        residual,
        plan,
        draws=measured.draws,
        distances=measured.distances,
        statuses=statuses,
        outcomes=None if outcomes is None else outcomes.table,
    )
    moved, section_tables = measure_sections(StudyInputs(plan, tasks, residual, statuses))
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
            pool_over=base.pool_over,
            sinks={sets.task: kept.summary() for sets in tasks if (kept := sets.base.metadata.sinks) is not None},
            data_notes={s.task: notes for s in tasks if (notes := data_notes(s.base.metadata))},
            primary_measure=plan.primary_measure,
            measures=list(plan.measures),
            measure_titles={name: measure(name).title for name in plan.measures},
            distances=[name for name in plan.measures if not measure(name).higher_is_similar],
            reference_method=plan.reference_method,
            comparison_method=plan.comparison_method,
            comparison_methods=list(plan.comparison_methods),
            method_words={name: words for name, words in plan.method_words.items() if name in plan.methods},
            target_reduction=plan.target_reduction,
            equivalence_margin=plan.equivalence_margin,
            alpha=plan.alpha,
            confidence=plan.sampling.confidence,
            replicates=plan.sampling.replicates,
            base_digest=base.weights_digest,
            compute_dtype=base.compute_dtype,
            truncated_samples={sets.task: sets.base.metadata.truncated_samples for sets in tasks},
            commands=list(plan.commands),
            configuration=plan.configuration,
            merged=plan.merged,
        ),
        runs=statuses,
        trained=trained_runs(tasks, output_dir),
        **found.entries(),
        controls=measured.controls,
        sites=site_drifts(table, plan, inside, stream_draws, statuses),
        site_controls=inside.controls,
        sanity=sanity_checks(residual, measured, plan, tasks),
        tuning=plan.tuning,
        outcomes=outcomes.found if outcomes is not None else None,
        moved=moved,
        warnings=[
            *(plan.tuning.cautions if plan.tuning is not None else []),
            *set_cautions(statuses, tasks, residual, plan),
            *missing_sites(inside),
            *group_cautions(measured.units, measured.pull),
            *without_value(
                {(task_title(task), name): r for (task, name), r in measured.undefined.items()}, base.layers
            ),
            *found.warnings,
        ],
    )
    shown = results if plan.sample_texts else without_texts(results)
    return write_analysis(shown.without_secrets(), table, output_dir, outcomes=outcomes, sections=section_tables), table


def _require_model(sets: TaskSets, plan: DriftPlan) -> None:
    found = sets.base.metadata.model
    if plan.model is not None and without_secrets(found) != without_secrets(plan.model):
        raise SampleSetMismatchError(
            f"the study's base model is {plan.model!r}, the sets in {sets.base.folder} are of {found!r}. "
            "Give the study that made them: repdrift analyze --config STUDY."
        )
