"""Opening the sets of one task and refusing to compare what must not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from repdrift.core.errors import (
    CorruptSetError,
    MissingRunError,
    NonFiniteError,
    SampleSetMismatchError,
    UnfinishedSetError,
)
from repdrift.core.records.results import RunStatus
from repdrift.drift.plan import BaseSets, PlannedSet
from repdrift.stores.representation_set import RepresentationSet, open_set


@dataclass(frozen=True)
class TaskSets:
    """The opened sets of one task: base, its second extraction (None if not at hand), and the runs that are there."""

    task: str
    base: RepresentationSet
    identity: RepresentationSet | None
    runs: list[tuple[PlannedSet, RepresentationSet]]
    statuses: list[RunStatus]


def open_task(task: str, base: BaseSets, planned: Sequence[PlannedSet]) -> TaskSets | None:
    """Open the sets of one task; None if no run of it is there.

    A run that is missing or unfinished is recorded as such. Raises MissingRunError if the base model's set is not
    there, SampleSetMismatchError if a set is of other samples, settings or another base model, CorruptSetError.
    """
    opened: list[tuple[PlannedSet, RepresentationSet]] = []
    statuses: list[RunStatus] = []
    for plan in planned:
        state, reason, found = "ok", None, None
        try:
            found = open_set(plan.folder)
        except MissingRunError:
            state, reason = "missing", f"no representation set at {plan.folder}; make it with: {plan.command}"
        except UnfinishedSetError:
            state, reason = "unfinished", f"{plan.folder} was never finished; finish it with: {plan.command}"
        statuses.append(_status(plan, state, reason, found))
        if found is not None:
            _require_identity(plan, found)
            opened.append((plan, found))
    if not opened:
        return TaskSets(task, None, None, [], statuses)  # pyright: ignore[reportArgumentType]
    try:
        base_set = open_set(base.folder)
    except (MissingRunError, UnfinishedSetError) as error:
        raise type(error)(
            f"the base model's representations for task {task!r} are not at {base.folder} (or are unfinished). "
            f"Extract them with:\n    {base.command}\nor fetch them with:\n    bash scripts/download_base_representations.sh --task {task}"
        ) from error
    for _, found in opened:
        require_comparable(base_set, found)
    try:
        identity = open_set(base.identity)
        require_comparable(base_set, identity)
    except (MissingRunError, UnfinishedSetError, CorruptSetError, SampleSetMismatchError):
        identity = None  # the control is then reported as not at hand
    return TaskSets(task, base_set, identity, opened, statuses)


def require_comparable(base: RepresentationSet, other: RepresentationSet) -> None:
    """Raises SampleSetMismatchError, naming both sides, unless the two sets may be compared row by row."""
    a, b = base.metadata, other.metadata
    both = f"{base.folder} and {other.folder}"
    if a.sample_set_fingerprint != b.sample_set_fingerprint or a.sample_ids != b.sample_ids:
        raise SampleSetMismatchError(
            f"{both} are of different sample sets (fingerprints {a.sample_set_fingerprint[:16]} and {b.sample_set_fingerprint[:16]}): "
            "row by row they are not the same inputs. Extract both with the same data, samples and max_length."
        )
    for what, left, right in (
        ("pooling", a.pooling, b.pooling),
        ("layers", a.layers, b.layers),
        ("shape", a.shape, b.shape),
    ):
        if left != right:
            raise SampleSetMismatchError(
                f"{both} differ in {what}: {left} and {right}. Extract both with the same settings."
            )
    expected = b.base_weights_digest
    if expected is not None and expected != a.weights_digest:
        raise SampleSetMismatchError(
            f"{other.folder} was tuned from another base model than {base.folder} holds (weights {expected[:16]}, here "
            f"{a.weights_digest[:16]}). Extract the base model that it was tuned from."
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


def _status(plan: PlannedSet, state: str, reason: str | None, found: RepresentationSet | None) -> RunStatus:
    return RunStatus(
        task=plan.task,
        method=plan.method,
        seed=plan.seed,
        step=plan.step,
        status=state,  # pyright: ignore[reportArgumentType]
        reason=reason,
        n_samples=len(found.metadata.sample_ids) if found else None,
        sample_set_fingerprint=found.metadata.sample_set_fingerprint if found else None,
        metrics=(found.metadata.run_metrics or {}) if found else {},
    )


def _require_identity(plan: PlannedSet, found: RepresentationSet) -> None:
    said = (found.metadata.task, found.metadata.method, found.metadata.seed, found.metadata.step)
    if said != (plan.task, plan.method, plan.seed, plan.step):
        raise CorruptSetError(
            f"{plan.folder} says it holds task {said[0]}, method {said[1]}, seed {said[2]}, step {said[3]}: it stands in the wrong "
            f"folder. Move it, or make it anew with: {plan.command}"
        )
