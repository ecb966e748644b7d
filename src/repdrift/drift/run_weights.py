"""The change of the weights of a study's trained models: read where it was measured before, and measured where the weights are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repdrift.core.errors import ModelError, StorageError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER
from repdrift.core.records.study_info import RunStatus
from repdrift.core.records.weights import ModelWeightsMoved
from repdrift.core.words import method_title, task_title
from repdrift.drift.analysis_plan import DriftPlan, PlannedSet
from repdrift.drift.task_sets import OpenedSet, TaskSets
from repdrift.models import ModelSource, model_on_this_machine, resolve_model
from repdrift.weights import WeightOptions, base_matrices, moved_key, moved_weights, read_moved, write_moved


@dataclass
class RunWeights:
    """The trained models that were measured, in the order of the plan, and by name why others were not."""

    found: list[tuple[PlannedSet, ModelWeightsMoved]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """A model that has yet to be measured: its set, the folder of its weights, and the key of its numbers."""

    name: str
    plan: PlannedSet
    source: ModelSource
    key: str


def run_weights(
    plan: DriftPlan, tasks: Sequence[TaskSets], statuses: Sequence[RunStatus], options: WeightOptions
) -> RunWeights:
    """Returns how the weights of every trained model moved that was extracted; checkpoints too.

    Numbers of an earlier analysis are taken where key and checksums fit; so they need no weights. Models whose weights are not on this
    machine, or are others than those that were extracted, are left out with the reason; so are all that have to be measured, if the base
    model is not here, cannot be read, or is another than the sets'. Nothing is downloaded.
    """
    result = RunWeights(
        left_out={_named(s): s.reason or f"its set is {s.status}" for s in statuses if s.status != "ok" and not s.step}
    )
    measured: dict[str, ModelWeightsMoved] = {}
    wanted: list[_Wanted] = []
    opened = [(run, sets.base.metadata) for sets in tasks for run in sets.runs]
    for run, base in opened:
        name, digest = _named(run.plan), run.stored.metadata.weights_digest
        key = moved_key(base.weights_digest, digest, options, plan.blocks, plan.stack)
        kept = None if run.plan.weights_folder is None else read_moved(run.plan.weights_folder, key)
        if kept is not None:
            measured[name] = kept
            continue
        try:
            wanted.append(_Wanted(name, run.plan, _source(run), key))
        except ModelError as error:
            result.left_out[name] = str(error)
    if wanted:
        try:
            measured |= _measured(plan, opened[0][1], wanted, options, result)
        except ModelError as error:  # those that were measured before are there all the same
            result.left_out |= {at.name: str(error) for at in wanted}
    result.found = [(run.plan, measured[_named(run.plan)]) for run, _ in opened if _named(run.plan) in measured]
    return result


def _measured(
    plan: DriftPlan, base: SetMetadata, wanted: Sequence[_Wanted], options: WeightOptions, result: RunWeights
) -> dict[str, ModelWeightsMoved]:
    source = model_on_this_machine(base.model, revision=base.model_revision)
    if source is None:
        raise ModelError(f"the base model {base.model!r} is not on this machine, and nothing is downloaded for this")
    if source.weights_digest() != base.weights_digest:
        raise ModelError(
            f"the base model's files ({base.model}) are not those that the representations were extracted from. Put those back, or extract "
            "again."
        )
    opened = base_matrices(source, blocks=plan.blocks, stack=plan.stack)
    found = moved_weights(opened, {at.name: at.source for at in wanted}, options)
    result.left_out |= found.missing
    for at in wanted:
        if at.name in found.models and at.plan.weights_folder is not None:
            _keep(at.plan.weights_folder, at.key, found.models[at.name])
    return found.models


def _keep(folder: Path, key: str, found: ModelWeightsMoved) -> None:
    try:
        write_moved(folder, key, found)
    except StorageError as error:  # the numbers are there all the same
        say(f"{error} The next analysis measures these weights anew.")


def _source(run: OpenedSet) -> ModelSource:
    """The files of the trained model. Raises ModelError if they are not here, or not those that were extracted."""
    digest = run.stored.metadata.weights_digest
    folder = {**run.plan.other_weights, **run.plan.weights}.get(digest)
    if folder is None:
        raise ModelError(
            "its weights are not on this machine (no run folder below the study's results has them), and they were not measured before"
        )
    step = run.plan.step
    at = folder / MODEL_FOLDER if step == 0 else folder / CHECKPOINT_FOLDER / f"step_{step:06d}"
    if not at.is_dir():
        raise ModelError(f"its weights are not on this machine: {at} is gone")
    source = resolve_model(str(at))
    if source.weights_digest() != digest:
        raise ModelError(f"the weights in {at} are not those that its representations were extracted from")
    return source


def _named(run: PlannedSet | RunStatus) -> str:
    """A trained model as messages name it: `SST-2, LoRA, seed 3`; a checkpoint with its step."""
    step = f", step {run.step}" if run.step else ""
    return f"{task_title(run.task)}, {method_title(run.method)}, seed {run.seed}{step}"
