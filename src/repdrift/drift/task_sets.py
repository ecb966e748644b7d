"""Opening the sets of one task and refusing to compare what must not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from repdrift.core.errors import (
    CorruptSetError,
    MissingRunError,
    NonFiniteError,
    SampleSetMismatchError,
    UnfinishedSetError,
)
from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.representation_set import BASE_METHOD, RANDOM_CHANGE_METHOD, SetMetadata, changes_digest
from repdrift.core.records.results import RunStatus
from repdrift.drift.analysis_plan import BaseSets, PlannedSet
from repdrift.stores import RepresentationSet, open_set


@dataclass(frozen=True)
class FoundRuns:
    """The runs of one task that are there, and the status of all that were planned."""

    runs: list[tuple[PlannedSet, RepresentationSet]]
    statuses: list[RunStatus]


@dataclass(frozen=True)
class TaskSets:
    """The opened sets of one task: base, its second extraction (None if there is none), and the runs that are there.

    random_changes: the base model moved at random as far as training moved the run of that plan, where such sets are there.
    """

    task: str
    base: RepresentationSet
    identity: RepresentationSet | None
    runs: list[tuple[PlannedSet, RepresentationSet]]
    random_changes: list[tuple[PlannedSet, RepresentationSet]] = field(default_factory=list)


def find_runs(planned: Sequence[PlannedSet]) -> FoundRuns:
    """Open the planned sets; one that is missing or unfinished is recorded as such.

    Raises CorruptSetError for a set that is damaged or stands in another run's folder.
    """
    runs: list[tuple[PlannedSet, RepresentationSet]] = []
    statuses: list[RunStatus] = []
    for plan in planned:
        try:
            found = open_set(plan.folder)
        except MissingRunError:
            reason = f"no representation set at {plan.folder}; make it with: {plan.command}"
            statuses.append(_absent(plan, "missing", reason))
            continue
        except UnfinishedSetError:
            reason = f"{plan.folder} was never finished; finish it with: {plan.command}"
            statuses.append(_absent(plan, "unfinished", reason))
            continue
        _require_own_folder(plan, found)
        runs.append((plan, found))
        statuses.append(_present(plan, found))
    return FoundRuns(runs, statuses)


def open_task(
    task: str,
    base: BaseSets,
    runs: list[tuple[PlannedSet, RepresentationSet]],
    random_changes: Sequence[PlannedSet] = (),
) -> TaskSets:
    """Put the runs of one task beside the base model's set.

    random_changes: those of other tasks are passed over; one that is missing or unfinished is left out.
    Raises MissingRunError or UnfinishedSetError if the base model's set is not there, SampleSetMismatchError if a set
    (the second extraction of the base model and the random changes too) is of other samples, settings or another base
    model, or a random change is of another size than the run's; CorruptSetError.
    """
    try:
        base_set = open_set(base.folder)
    except (MissingRunError, UnfinishedSetError) as error:
        raise type(error)(
            f"the base model's representations for task {task!r} are not at {base.folder} (or are unfinished). "
            f"Extract them with:\n    {base.command}\nor fetch them with:\n    bash scripts/download_base_representations.sh --task {task}"
        ) from error
    _require_base(task, base_set, base.command)
    for _, found in runs:
        require_comparable(base_set, found)
    try:
        identity = open_set(base.identity)
    except (MissingRunError, UnfinishedSetError):
        identity = None  # the control is then reported as not at hand
    else:
        _require_base(task, identity, base.command)
        require_comparable(base_set, identity)
    return TaskSets(task, base_set, identity, runs, _open_random_changes(task, base_set, runs, random_changes))


def require_one_study(tasks: Sequence[TaskSets]) -> None:
    """Raises SampleSetMismatchError unless the base sets of all tasks are of one model, pooling and list of layers."""
    first = tasks[0].base
    for other in (sets.base for sets in tasks[1:]):
        a, b = first.metadata, other.metadata
        for what, left, right in (
            ("base model", f"{a.model} ({a.weights_digest[:16]})", f"{b.model} ({b.weights_digest[:16]})"),
            ("pooling", a.pooling, b.pooling),
            ("layers", a.layers, b.layers),
        ):
            if left != right:
                raise SampleSetMismatchError(
                    f"{first.folder} and {other.folder} differ in {what}: {left} and {right}. Tasks are tested together "
                    "only where they are alike in that: extract them again, or analyse each with --task."
                )


def require_comparable(base: RepresentationSet, other: RepresentationSet) -> None:
    """Raises SampleSetMismatchError, naming both sides, unless the two sets may be compared row by row."""
    a, b = base.metadata, other.metadata
    both = f"{base.folder} and {other.folder}"
    remedy = "row by row they are not the same inputs. Extract both with the same data, samples and max_length."
    if a.sample_set_fingerprint != b.sample_set_fingerprint:
        raise SampleSetMismatchError(
            f"{both} are of different sample sets (fingerprints {a.sample_set_fingerprint} and {b.sample_set_fingerprint}): {remedy}"
        )
    if a.sample_ids != b.sample_ids:
        raise SampleSetMismatchError(
            f"{both} say that they are of different sample sets: one fingerprint, other sample ids ({_first_difference(a, b)}): {remedy}"
        )
    for what, left, right in (
        ("pooling", a.pooling, b.pooling),
        ("layers", a.layers, b.layers),
        ("shape", a.shape, b.shape),
        ("tokens of each sample", _digest(a.tokens_per_sample), _digest(b.tokens_per_sample)),
    ):
        if left != right:
            raise SampleSetMismatchError(
                f"{both} differ in {what}: {left} and {right}. Extract both with the same settings."
            )
    # A base set was made by the base model itself; a tuned one says what it was tuned from, where that is known.
    expected = b.weights_digest if b.method == BASE_METHOD else b.base_weights_digest
    if expected is not None and expected != a.weights_digest:
        raise SampleSetMismatchError(
            f"{other.folder} was tuned from another base model than {base.folder} holds (weights {expected[:16]}, here "
            f"{a.weights_digest[:16]}). Extract the base model that it was tuned from."
            if b.method != BASE_METHOD
            else f"{base.folder} and {other.folder} are of different base models (weights {a.weights_digest[:16]} and "
            f"{expected[:16]}). Extract both again."
        )


def read_layer(found: RepresentationSet, layer: int) -> torch.Tensor:
    """One layer in memory. Raises NonFiniteError naming the set, the layer and the sample."""
    tensor = found.layer(layer)
    finite = torch.isfinite(tensor).all(dim=1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        ids = found.metadata.sample_ids
        sample = repr(ids[row]) if found.metadata.pooling != "tokens" else f"token row {row}"
        raise NonFiniteError(
            f"{found.folder}, layer {layer}, sample {sample} (row {row}): NaN or Inf in the stored representation. "
            "Check the trained model; extract again."
        )
    return tensor


def _absent(plan: PlannedSet, state: Literal["missing", "unfinished"], reason: str) -> RunStatus:
    return RunStatus(task=plan.task, method=plan.method, seed=plan.seed, step=plan.step, status=state, reason=reason)


def _present(plan: PlannedSet, found: RepresentationSet) -> RunStatus:
    return RunStatus(
        task=plan.task,
        method=plan.method,
        seed=plan.seed,
        step=plan.step,
        status="ok",
        n_samples=len(found.metadata.sample_ids),
        sample_set_fingerprint=found.metadata.sample_set_fingerprint,
        metrics=found.metadata.run_metrics or {},
    )


def _require_base(task: str, found: RepresentationSet, command: str) -> None:
    said = (found.metadata.task, found.metadata.method)
    if said != (task, BASE_METHOD):
        raise CorruptSetError(
            f"{found.folder} says it holds task {said[0]}, method {said[1]}; the base model's set for task {task} was "
            f"expected. Move it, and make that one with: {command}"
        )
    _require_rows_of_samples(found, command)


def _require_rows_of_samples(found: RepresentationSet, command: str) -> None:
    """Raises CorruptSetError unless every row is one sample's, or one token of a sample that has some."""
    said = found.metadata
    rows, samples, tokens = said.shape[0], len(said.sample_ids), said.tokens_per_sample
    fault = None
    if said.pooling != "tokens":
        fault = f"{rows} rows for {samples} samples" if rows != samples else None
    elif tokens is None or len(tokens) != samples:
        fault = f"numbers of tokens for {len(tokens or ())} of {samples} samples"
    elif min(tokens) < 1 or sum(tokens) != rows:
        fault = f"{rows} rows for samples of {sum(tokens)} tokens together, the shortest of {min(tokens)}"
    if fault is not None:
        raise CorruptSetError(f"{found.folder} says it has {fault}. Make it anew with: {command}")


def _require_own_folder(plan: PlannedSet, found: RepresentationSet) -> None:
    said = (found.metadata.task, found.metadata.method, found.metadata.seed, found.metadata.step)
    if said != (plan.task, plan.method, plan.seed, plan.step):
        raise CorruptSetError(
            f"{plan.folder} says it holds task {said[0]}, method {said[1]}, seed {said[2]}, step {said[3]}: it stands in the wrong "
            f"folder. Move it, or make it anew with: {plan.command}"
        )


def _open_random_changes(
    task: str,
    base: RepresentationSet,
    runs: list[tuple[PlannedSet, RepresentationSet]],
    planned: Sequence[PlannedSet],
) -> list[tuple[PlannedSet, RepresentationSet]]:
    matched = {(plan.method, plan.seed, plan.step): run for plan, run in runs}
    opened: list[tuple[PlannedSet, RepresentationSet]] = []
    for plan in planned:
        if plan.task != task:
            continue
        try:
            found = open_set(plan.folder)
        except (MissingRunError, UnfinishedSetError):
            continue  # the control is then reported as not at hand
        _require_own_control(plan, found)
        try:
            require_comparable(base, found)
            _require_same_size(matched.get((plan.method, plan.seed, plan.step)), found)
        except SampleSetMismatchError as error:
            raise SampleSetMismatchError(
                f"{error} {plan.folder} is a control: make it anew with: {plan.command}, or delete it to go without."
            ) from error
        opened.append((plan, found))
    return opened


def _require_own_control(plan: PlannedSet, found: RepresentationSet) -> None:
    said = found.metadata
    matched = said.random_change.method if said.random_change is not None else None
    if (said.method, said.task, matched, said.seed, said.step) != (
        RANDOM_CHANGE_METHOD, plan.task, plan.method, plan.seed, plan.step,
    ):  # fmt: skip
        held = f"{said.method} as large as {matched}" if matched is not None else said.method
        raise CorruptSetError(
            f"{plan.folder} says it holds task {said.task}, method {held}, seed {said.seed}, step {said.step}; the base model "
            f"after a random change as large as that of {plan.method}, seed {plan.seed}, was expected. Move it, or make that "
            f"one with: {plan.command}"
        )


def _require_same_size(run: RepresentationSet | None, found: RepresentationSet) -> None:
    """Where the run's own set is there, the noise has the size of its change, weight by weight."""
    change = found.metadata.random_change
    if run is None or change is None:
        return
    if changes_digest(run.metadata.weight_changes or ()) != change.changes_digest:
        raise SampleSetMismatchError(
            f"{found.folder} is not of the size by which the weights of {run.folder} moved: that model was trained or extracted "
            "again since."
        )


def _digest(tokens: Sequence[int] | None) -> str:
    return "none" if tokens is None else config_sha256({"tokens": list(tokens)})[:16]


def _first_difference(a: SetMetadata, b: SetMetadata) -> str:
    if len(a.sample_ids) != len(b.sample_ids):
        return f"{len(a.sample_ids)} and {len(b.sample_ids)} of them"
    row = next(i for i, (left, right) in enumerate(zip(a.sample_ids, b.sample_ids, strict=True)) if left != right)
    return f"row {row}: {a.sample_ids[row]!r} and {b.sample_ids[row]!r}"
