"""The files of a study's models, for sections that read the models themselves. Nothing is downloaded."""

from __future__ import annotations

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import method_title, task_title
from repdrift.drift.analysis_plan import PlannedSet
from repdrift.drift.task_sets import OpenedSet
from repdrift.models import ModelSource, model_on_this_machine, resolve_model


def files_of_base(base: SetMetadata) -> ModelSource:
    """Returns the files of the base model of a set. Raises ModelError if they are not here, or not those that were extracted."""
    source = model_on_this_machine(base.model, revision=base.model_revision)
    if source is None:
        raise ModelError(f"the base model {base.model!r} is not on this machine, and nothing is downloaded for this")
    if source.weights_digest() != base.weights_digest:
        raise ModelError(
            f"the base model's files ({base.model}) are not those that the representations were extracted from. Put those back, or extract "
            "again."
        )
    return source


def files_of_run(run: OpenedSet) -> ModelSource:
    """Returns the files of the trained model. Raises ModelError if they are not here, or not those that were extracted."""
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


def name_of_model(run: PlannedSet | RunStatus) -> str:
    """Returns a trained model as messages name it: `SST-2, LoRA, seed 3`; a checkpoint with its step."""
    step = f", step {run.step}" if run.step else ""
    return f"{task_title(run.task)}, {method_title(run.method)}, seed {run.seed}{step}"
