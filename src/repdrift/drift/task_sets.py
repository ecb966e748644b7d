"""The representation sets of one task, opened: base model, runs and controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from repdrift.core.errors import MissingRunError, NonFiniteError, SampleSetMismatchError, UnfinishedSetError
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.records.study_info import RunStatus
from repdrift.drift.analysis_plan import BaseSets, PlannedSet
from repdrift.drift.set_checks import (
    require_base_set,
    require_comparable,
    require_random_change_of,
    require_run_of,
    require_same_size,
    require_weights_of,
)
from repdrift.stores import RepresentationSet, open_set


@dataclass(frozen=True)
class OpenedSet:
    """A planned set that is there."""

    plan: PlannedSet
    stored: RepresentationSet


@dataclass(frozen=True)
class FoundRuns:
    """The runs of one task that are there, and the status of every planned run."""

    runs: list[OpenedSet]
    statuses: list[RunStatus]


@dataclass(frozen=True)
class TaskSets:
    """The opened sets of one task.

    identity: the second extraction of the base model; None if there is none. random_changes: the base model moved at random
    as far as training moved the run of that plan; only the sets that are there.
    """

    task: str
    base: RepresentationSet
    identity: RepresentationSet | None
    runs: list[OpenedSet]
    random_changes: list[OpenedSet] = field(default_factory=list)


def find_runs(planned: Sequence[PlannedSet]) -> FoundRuns:
    """Open the planned sets. A set that is missing or unfinished gets a status that says so.

    Raises CorruptSetError for a set that is damaged or stands in another run's folder, SampleSetMismatchError for one of
    another trained model than the study has now.
    """
    runs: list[OpenedSet] = []
    statuses: list[RunStatus] = []
    for plan in planned:
        try:
            stored = open_set(plan.folder)
        except MissingRunError:
            reason = f"no representation set at {plan.folder}; make it with: {plan.command}"
            statuses.append(_absent(plan, "missing", reason))
            continue
        except UnfinishedSetError:
            reason = f"the set at {plan.folder} is not finished; finish it with: {plan.command}"
            statuses.append(_absent(plan, "unfinished", reason))
            continue
        require_run_of(plan, stored)
        require_weights_of(plan, stored)
        runs.append(OpenedSet(plan, stored))
        statuses.append(_present(plan, stored))
    return FoundRuns(runs, statuses)


def open_task(task: str, base: BaseSets, runs: list[OpenedSet], random_changes: Sequence[PlannedSet] = ()) -> TaskSets:
    """Open the base model's sets of one task and the controls of its runs, and check that all may be compared.

    random_changes: planned controls; those of other tasks are skipped. A second extraction or a control that is missing or
    unfinished is left out.
    Raises MissingRunError or UnfinishedSetError if the base model's set is not there. Raises SampleSetMismatchError if a set
    has other samples, other settings or another base model, or if a random change has another size than its run's change.
    Raises CorruptSetError if a set is damaged or holds something else than its folder says.
    """
    try:
        base_set = open_set(base.folder)
    except (MissingRunError, UnfinishedSetError) as error:
        raise type(error)(
            f"there is no finished set of the base model's representations for task {task!r} at {base.folder}. "
            f"Extract them with:\n    {base.command}\nor fetch them with:\n    bash scripts/download_base_representations.sh --task {task}"
        ) from error
    require_base_set(task, base_set, base.command)
    for run in runs:
        require_comparable(base_set, run.stored)
    try:
        identity = open_set(base.identity)
    except (MissingRunError, UnfinishedSetError):
        identity = None  # the control is then reported as not available
    else:
        require_base_set(task, identity, base.command)
        require_comparable(base_set, identity)
    planned = [plan for plan in random_changes if plan.task == task]
    return TaskSets(task, base_set, identity, runs, _open_random_changes(base_set, runs, planned))


def read_layer(stored: RepresentationSet, layer: int) -> torch.Tensor:
    """Read one layer into memory. Raises NonFiniteError, naming set, layer and sample, if a number is NaN or infinite."""
    return read_finite(stored, SiteLayer(RESID_POST, layer))


def read_finite(stored: RepresentationSet, place: SiteLayer) -> torch.Tensor:
    """Read one site at one layer into memory. Raises NonFiniteError, naming set, place and sample, if a number is NaN or infinite."""
    tensor = stored.at(place.site, place.layer)
    finite = torch.isfinite(tensor).all(dim=1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        ids = stored.metadata.sample_ids
        sample = repr(ids[row]) if stored.metadata.pooling != "tokens" else f"token row {row}"
        raise NonFiniteError(
            f"{stored.folder}, {place.words}, sample {sample} (row {row}): NaN or Inf in the stored representation. "
            "Check the trained model; extract again."
        )
    return tensor


def _absent(plan: PlannedSet, state: Literal["missing", "unfinished"], reason: str) -> RunStatus:
    return RunStatus(
        task=plan.task,
        method=plan.method,
        seed=plan.seed,
        step=plan.step,
        status=state,
        reason=reason,
        commands=_commands(plan),
    )


def _present(plan: PlannedSet, stored: RepresentationSet) -> RunStatus:
    return RunStatus(
        task=plan.task,
        method=plan.method,
        seed=plan.seed,
        step=plan.step,
        status="ok",
        n_samples=len(stored.metadata.sample_ids),
        sample_set_fingerprint=stored.metadata.sample_set_fingerprint,
        metrics=stored.metadata.run_metrics or {},
        learnt=stored.metadata.run_learnt,
        trained_steps=stored.metadata.trained_steps,
        commands=_commands(plan),
    )


def _commands(plan: PlannedSet) -> list[str]:
    return [command for command in (plan.train_command, plan.command) if command]


def _open_random_changes(
    base: RepresentationSet, runs: list[OpenedSet], planned: Sequence[PlannedSet]
) -> list[OpenedSet]:
    matched = {(run.plan.method, run.plan.seed, run.plan.step): run.stored for run in runs}
    opened: list[OpenedSet] = []
    for plan in planned:
        try:
            stored = open_set(plan.folder)
        except (MissingRunError, UnfinishedSetError):
            continue  # the control is then reported as not available
        require_random_change_of(plan, stored)
        run = matched.get((plan.method, plan.seed, plan.step))
        try:
            require_comparable(base, stored)
            if run is not None:
                require_same_size(run, stored)
        except SampleSetMismatchError as error:
            raise SampleSetMismatchError(
                f"{error} {plan.folder} is a control: make it anew with: {plan.command}, or delete it to go without."
            ) from error
        opened.append(OpenedSet(plan, stored))
    return opened
