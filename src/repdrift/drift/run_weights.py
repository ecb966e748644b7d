"""The change of the weights of a study's trained models: read where it was measured before, and measured where the weights are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repdrift.core.errors import ModelError, StorageError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.study_info import RunStatus
from repdrift.core.records.weights import ModelWeightsMoved
from repdrift.drift.analysis_plan import DriftPlan, PlannedSet
from repdrift.drift.model_files import files_of_base, files_of_run, name_of_model
from repdrift.drift.task_sets import TaskSets
from repdrift.models import ModelSource
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
        left_out={
            name_of_model(s): s.reason or f"its set is {s.status}" for s in statuses if s.status != "ok" and not s.step
        }
    )
    measured: dict[str, ModelWeightsMoved] = {}
    wanted: list[_Wanted] = []
    opened = [(run, sets.base.metadata) for sets in tasks for run in sets.runs]
    for run, base in opened:
        name, digest = name_of_model(run.plan), run.stored.metadata.weights_digest
        key = moved_key(base.weights_digest, digest, options, plan.blocks, plan.stack)
        kept = None if run.plan.weights_folder is None else read_moved(run.plan.weights_folder, key)
        if kept is not None:
            measured[name] = kept
            continue
        try:
            wanted.append(_Wanted(name, run.plan, files_of_run(run), key))
        except ModelError as error:
            result.left_out[name] = str(error)
    if wanted:
        try:
            measured |= _measured(plan, opened[0][1], wanted, options, result)
        except ModelError as error:  # those that were measured before are there all the same
            result.left_out |= {at.name: str(error) for at in wanted}
    result.found = [
        (run.plan, measured[name_of_model(run.plan)]) for run, _ in opened if name_of_model(run.plan) in measured
    ]
    return result


def _measured(
    plan: DriftPlan, base: SetMetadata, wanted: Sequence[_Wanted], options: WeightOptions, result: RunWeights
) -> dict[str, ModelWeightsMoved]:
    source = files_of_base(base)
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
