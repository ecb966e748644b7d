"""Reads the outcomes of the runs that are analysed, and refuses those of other weights or samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from repdrift.core.errors import CorruptSetError, SampleSetMismatchError
from repdrift.core.reading import stands_there
from repdrift.core.records.outcomes import MissingOutcomes, OutcomeInfo, RunOutcomes
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.study_info import RunStatus
from repdrift.drift.analysis_plan import PlannedOutcomes
from repdrift.drift.measured_outcomes.whose_notes import NotesOfModels
from repdrift.drift.task_sets import TaskSets
from repdrift.outcomes.outcome import OF_ONE_RUN
from repdrift.outcomes.outcome_files import no_items, read_items, record_path

_SETTINGS = {
    "data": "evaluation rows, groups of them or scorer",
    "general_text": "general text",
    "groups": "groups of samples",
    "classes": "classes of samples",
    "base_set": "representations of the base model",
    "tasks": "benchmark tasks",
    "lm_eval": "versions of lm-evaluation-harness",
    "queries": "queries of retrieval",
    "passages": "passages of retrieval",
    "pairs": "pairs of query and passage",
}
"""What differs, by the name of a part of a key; others keep their name."""


@dataclass(frozen=True)
class FoundOutcomes:
    """The outcomes that are there. items: in the columns of ITEM_COLUMNS. infos: every outcome's meaning, by its name.

    notes: sentences on how each kind was measured, with the models that they are about. missing: what is not there, or does not apply.
    """

    items: pd.DataFrame
    infos: Mapping[str, OutcomeInfo]
    notes: Sequence[str]
    missing: Sequence[MissingOutcomes]


def find_outcomes(
    planned: Sequence[PlannedOutcomes], tasks: Sequence[TaskSets], statuses: Sequence[RunStatus]
) -> FoundOutcomes | None:
    """Read the outcomes of every run whose representation set is there; None if not one kind of any run was measured.

    Raises SampleSetMismatchError for outcomes of other weights, another base model or other samples than the sets that are
    compared, or measured on other rows, groups, general text or with other options than those of another run of the task or than the study has now; CorruptSetError or DataError for files that are damaged or stand in another run's folder.
    """
    bases = {sets.task: sets.base.metadata for sets in tasks}
    sets = {
        (run.plan.task, run.plan.method, run.plan.seed, run.plan.step): run.stored.metadata
        for of_task in tasks
        for run in of_task.runs
    }
    there = {(s.task, s.method, s.seed, s.step) for s in statuses if s.status == "ok"}
    parts: list[pd.DataFrame] = []
    infos: dict[str, OutcomeInfo] = {}
    notes = NotesOfModels()
    missing: list[MissingOutcomes] = []
    measured: dict[tuple[str, str], tuple[PlannedOutcomes, RunOutcomes]] = {}
    is_any = False
    for plan in planned:
        run = (plan.task, plan.method, plan.seed, plan.step)
        if run not in there:
            continue  # a missing run is named as one
        for name in plan.names:
            path = record_path(plan.folder, name)
            if not stands_there(path):
                missing.append(_missing(plan, name, f"not measured; make it with: {plan.command}"))
                continue
            record = RunOutcomes.read(path)
            is_any = True
            _require_of_run(plan, name, record)
            _require_comparable(plan, record, sets[run], bases[plan.task])
            if record.n_items:
                _require_alike(measured.setdefault((plan.task, name), (plan, record)), (plan, record))
            parts.append(read_items(plan.folder, record))
            infos |= {info.name: info for info in record.outcomes}
            notes.add(name, plan.task, plan.method, record.notes)
            missing += [_missing(plan, left_out.outcome, left_out.reason) for left_out in record.not_applicable]
    if not is_any:
        return None
    filled = [part for part in parts if not part.empty]
    items = pd.concat(filled, ignore_index=True) if filled else no_items()
    return FoundOutcomes(items, infos, notes.sentences(), missing)


def _missing(plan: PlannedOutcomes, outcome: str, reason: str) -> MissingOutcomes:
    return MissingOutcomes(
        task=plan.task, method=plan.method, seed=plan.seed, step=plan.step, outcome=outcome, reason=reason
    )


def _require_of_run(plan: PlannedOutcomes, name: str, record: RunOutcomes) -> None:
    wanted = (name, plan.task, plan.method, plan.seed, plan.step)
    found = (record.name, record.task, record.method, record.seed, record.step)
    if found != wanted:
        raise CorruptSetError(
            f"{record_path(plan.folder, name)} holds {record.name} of {record.task}, {record.method}, seed {record.seed}, step {record.step}; "
            f"expected {name} of {plan.task}, {plan.method}, seed {plan.seed}, step {plan.step}. Files were moved. Measure again with: {plan.command}"
        )


def _require_comparable(plan: PlannedOutcomes, record: RunOutcomes, tuned: SetMetadata, base: SetMetadata) -> None:
    for what, found, expected in (
        ("weights", record.weights_digest, tuned.weights_digest),
        ("base model", record.base_weights_digest, base.weights_digest),
        ("sample set", record.sample_set_fingerprint, tuned.sample_set_fingerprint),
    ):
        if found != expected:
            raise SampleSetMismatchError(
                f"{record_path(plan.folder, record.name)} was measured with another {what} ({found[:12]}) than the representations of {plan.task}, "
                f"{plan.method}, seed {plan.seed} ({expected[:12]}): one of the two is older. Measure again with: {plan.command}"
            )
    if changed := plan.changed_since(record):
        raise SampleSetMismatchError(
            f"{record_path(plan.folder, record.name)} was measured with other {' and '.join(changed)} than the study has now. Measure again with: "
            f"{plan.command}"
        )
    for what, key, stored in (("base model", "base_set", base), ("trained model", "tuned_set", tuned)):
        if record.n_items and record.options.get(key, stored.key) != stored.key:
            raise SampleSetMismatchError(
                f"{record_path(plan.folder, record.name)} was read off other representations of the {what} than those that are there now: they were "
                f"extracted anew, with another pooling, number format or choice of sites. Measure again with: {plan.command}"
            )


def _require_alike(one: tuple[PlannedOutcomes, RunOutcomes], other: tuple[PlannedOutcomes, RunOutcomes]) -> None:
    """Raises SampleSetMismatchError if the settings of two runs of a task differ in more than what each run has for itself."""
    (_, first), (_, second) = one, other
    shared = (first.options.keys() | second.options.keys()) - set(OF_ONE_RUN)
    apart = [name for name in sorted(shared) if first.options.get(name) != second.options.get(name)]
    if not apart:
        return
    (older, before), (newer, after) = sorted((one, other), key=lambda found: found[1].created)
    words = " and ".join(_SETTINGS.get(name, name) for name in apart)
    raise SampleSetMismatchError(
        f"{record_path(older.folder, before.name)} was measured with other {words} than {record_path(newer.folder, after.name)}: only outcomes of the same "
        f"ones are set side by side. Measure the older one again with: {older.command}"
    )
