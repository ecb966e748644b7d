"""Checks of representation sets: each refuses to compare what must not be compared, and says why."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.errors import CorruptSetError, SampleSetMismatchError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.representation_set import BASE_METHOD, RANDOM_CHANGE_METHOD, SetMetadata, changes_digest
from repdrift.drift.analysis_plan import PlannedSet
from repdrift.stores import RepresentationSet


def require_one_study(base_sets: Sequence[RepresentationSet]) -> None:
    """Raises SampleSetMismatchError unless the base sets of all tasks have one model, one pooling and the same layers."""
    first, *others = base_sets
    for other in others:
        a, b = first.metadata, other.metadata
        for what, left, right in (
            ("base model", f"{a.model} ({a.weights_digest[:16]})", f"{b.model} ({b.weights_digest[:16]})"),
            *_recorded_by_both(a, b),
            ("pooling", a.pooling, b.pooling),
            ("pool_over", a.pool_over, b.pool_over),
            ("layers", a.layers, b.layers),
        ):
            if left != right:
                raise SampleSetMismatchError(
                    f"{first.folder} and {other.folder} differ in {what}: {left} and {right}. Tasks can be tested together "
                    "only where these agree: extract the sets again, or analyse each task by itself with --task."
                )


def require_comparable(base: RepresentationSet, other: RepresentationSet) -> None:
    """Raises SampleSetMismatchError, naming both sets, unless they may be compared row by row."""
    a, b = base.metadata, other.metadata
    both = f"{base.folder} and {other.folder}"
    remedy = "row by row they are not the same inputs. Extract both with the same data, samples and max_length (`repdrift extract`)."
    if a.sample_set_fingerprint != b.sample_set_fingerprint:
        raise SampleSetMismatchError(
            f"{both} are of different sample sets (fingerprints {a.sample_set_fingerprint} and {b.sample_set_fingerprint}): {remedy}"
        )
    if a.sample_ids != b.sample_ids:
        raise SampleSetMismatchError(
            f"{both} are of different sample sets, although their fingerprints are equal: the sample ids differ ({_first_difference(a, b)}): {remedy}"
        )
    for what, left, right in (
        ("pooling", a.pooling, b.pooling),
        ("pool_over", a.pool_over, b.pool_over),
        ("layers", a.layers, b.layers),
        ("shape", a.shape, b.shape),
        ("tokens of each sample", _digest(a.tokens_per_sample), _digest(b.tokens_per_sample)),
        ("tokens left out as attention sinks", _sinks(a), _sinks(b)),
    ):
        if left != right:
            raise SampleSetMismatchError(
                f"{both} differ in {what}: {left} and {right}. Extract both with the same settings."
            )
    _require_one_base_model(base, other)


def require_base_set(task: str, stored: RepresentationSet, command: str) -> None:
    """Raises CorruptSetError unless the set is the base model's for `task`, with a row for each sample or token.

    command: makes the set.
    """
    said = (stored.metadata.task, stored.metadata.method)
    if said != (task, BASE_METHOD):
        raise CorruptSetError(
            f"{stored.folder} says it holds task {said[0]}, method {said[1]}; the base model's set for task {task} was "
            f"expected. Move it, and make that one with: {command}"
        )
    _require_rows_of_samples(stored, command)


def require_run_of(plan: PlannedSet, stored: RepresentationSet) -> None:
    """Raises CorruptSetError unless the set is of the task, method, seed and step of its plan."""
    said = (stored.metadata.task, stored.metadata.method, stored.metadata.seed, stored.metadata.step)
    if said != (plan.task, plan.method, plan.seed, plan.step):
        raise CorruptSetError(
            f"{plan.folder} says it holds task {said[0]}, method {said[1]}, seed {said[2]}, step {said[3]}: it stands in the wrong "
            f"folder. Move it, or make it anew with: {plan.command}"
        )


def require_weights_of(plan: PlannedSet, stored: RepresentationSet) -> None:
    """Raises SampleSetMismatchError if the set is of another trained model than the study has now, as far as runs are at hand.

    A set whose run is not on this machine is taken as it is, unless a run that the study means is there.
    """
    digest = stored.metadata.weights_digest
    if digest in plan.weights:
        return
    trained = next(iter(plan.weights.values()), None)
    if trained is not None:
        raise SampleSetMismatchError(
            f"{plan.folder} was made from another model (weights {digest[:16]}) than the one in {trained}, which the study means "
            f"by {plan.task}, {plan.method}, seed {plan.seed}, step {plan.step}. Make it anew with: {plan.command}"
        )
    if digest in plan.other_weights:
        raise SampleSetMismatchError(
            f"{plan.folder} was made from {plan.other_weights[digest]}, which was trained with other settings than the study has "
            "now. Give the study that it was trained with, or let `repdrift run` train and extract what this one needs."
        )


def require_random_change_of(plan: PlannedSet, stored: RepresentationSet) -> None:
    """Raises CorruptSetError unless the set is the base model after a random change as large as that of the planned run."""
    said = stored.metadata
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


def require_same_size(run: RepresentationSet, control: RepresentationSet) -> None:
    """Raises SampleSetMismatchError unless the control's random change is as large as the run's, weight by weight."""
    change = control.metadata.random_change
    if change is not None and changes_digest(run.metadata.weight_changes or ()) != change.changes_digest:
        raise SampleSetMismatchError(
            f"{control.folder} is not of the size by which training moved the weights of {run.folder}. That model was trained or "
            "extracted again since."
        )


def _recorded_by_both(a: SetMetadata, b: SetMetadata) -> list[tuple[str, str, str]]:
    """Settings files of the base model that both sets name, each with its digest in both."""
    ours, theirs = _base_settings(a), _base_settings(b)
    return [
        (f"{name.removeprefix('base/')} of the base model", ours[name][:16], theirs[name][:16])
        for name in sorted(ours.keys() & theirs.keys())
    ]


def _require_one_base_model(base: RepresentationSet, other: RepresentationSet) -> None:
    """A base set was made by the base model itself; a tuned one says what it was tuned from, where that is known."""
    a, b = base.metadata, other.metadata
    expected = b.weights_digest if b.method == BASE_METHOD else b.base_weights_digest
    if expected is not None and expected != a.weights_digest:
        raise SampleSetMismatchError(
            f"{other.folder} was tuned from another base model than {base.folder} holds (weights {expected[:16]}, here "
            f"{a.weights_digest[:16]}). Extract the base model that it was tuned from."
            if b.method != BASE_METHOD
            else f"{base.folder} and {other.folder} are of different base models (weights {a.weights_digest[:16]} and "
            f"{expected[:16]}). Extract both again."
        )
    ours, theirs = _base_settings(a), _base_settings(b)
    changed = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    if changed:
        raise SampleSetMismatchError(
            f"{base.folder} and {other.folder} were made with base models of the same weights, but of another "
            f"{changed[0].removeprefix('base/')}: it was changed between the two, and with it the weights are another model. Restore the "
            "file from a copy, or train again, and then extract both again."
        )


def _base_settings(said: SetMetadata) -> dict[str, str]:
    """The digests of the base model's settings files, by path; {} in records of older versions."""
    return {name: digest for name, digest in said.settings.items() if name.startswith("base/")}


def _require_rows_of_samples(stored: RepresentationSet, command: str) -> None:
    """Raises CorruptSetError unless there is a row for every sample, or for every token if each sample has a token."""
    said = stored.metadata
    rows, samples, tokens = said.shape[0], len(said.sample_ids), said.tokens_per_sample
    fault = None
    if said.pooling != "tokens":
        fault = f"{rows} rows for {samples} samples" if rows != samples else None
    elif tokens is None or len(tokens) != samples:
        fault = f"numbers of tokens for {len(tokens or ())} of {samples} samples"
    elif min(tokens) < 1 or sum(tokens) != rows:
        fault = f"{rows} rows for samples of {sum(tokens)} tokens together, the shortest of {min(tokens)}"
    if fault is not None:
        raise CorruptSetError(f"{stored.folder} says it has {fault}. Make it anew with: {command}")


def _digest(tokens: Sequence[int] | None) -> str:
    return "none" if tokens is None else config_sha256({"tokens": list(tokens)})[:16]


def _sinks(said: SetMetadata) -> str:
    return "none" if said.sinks is None else f"{said.sinks.sinks} (mask {said.sinks.digest[:16]})"


def _first_difference(a: SetMetadata, b: SetMetadata) -> str:
    if len(a.sample_ids) != len(b.sample_ids):
        return f"{len(a.sample_ids)} and {len(b.sample_ids)} of them"
    row = next(i for i, (left, right) in enumerate(zip(a.sample_ids, b.sample_ids, strict=True)) if left != right)
    return f"row {row}: {a.sample_ids[row]!r} and {b.sample_ids[row]!r}"
