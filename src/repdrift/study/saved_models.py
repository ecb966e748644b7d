"""The saved models of a run, final model and checkpoints, held to what the run's record says of them."""

from __future__ import annotations

from repdrift.core.errors import MissingRunError, ModelError
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RUN_FILE, RunRecord
from repdrift.models import ModelSource, load_config, resolve_model, setting_differences
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId
from repdrift.training import FinishedRun, require_unchanged, restore_or_train

_EVERY_CHECKPOINT = "all"
EVERY_SAVED = "saved"
"""The final model and every checkpoint, of runs that may have saved none."""


def saved_model(inputs: StudyInputs, trained: FinishedRun, step: int) -> ModelSource:
    """Returns the model that a run saved after `step`; 0 is the final model.

    Raises ModelError if its files are not those that the run wrote, or its settings are not the base model's.
    """
    folder, record = trained.folder, trained.record
    weights = folder / MODEL_FOLDER if step == 0 else folder / CHECKPOINT_FOLDER / f"step_{step:06d}"
    require_unchanged(trained, weights)
    tuned = resolve_model(str(weights))
    if step == 0 and tuned.weights_digest() != record.weights_digest:
        raise ModelError(
            f"the weights in {weights} are not the ones that {folder / RUN_FILE} describes (digest {tuned.weights_digest()[:12]}, "
            f"expected {record.weights_digest[:12]}): one of the two was changed or exchanged. {restore_or_train(folder)}"
        )
    _require_settings_of_base(inputs, tuned)
    return tuned


def _require_settings_of_base(inputs: StudyInputs, tuned: ModelSource) -> None:
    """Raises ModelError if a full model that was trained from the base model has other settings: runs of older versions do not tell theirs."""
    if tuned.is_adapter or inputs.base.gguf_file:
        return
    theirs = load_config(tuned)
    if theirs.model_type == inputs.model_config.model_type and (
        differ := setting_differences(inputs.model_config, theirs)
    ):
        raise ModelError(
            f"{tuned.path / 'config.json'} has other settings than the base model in {inputs.base.path}, from which it was trained: "
            f"{', '.join(differ[:3])}. One of the two was changed since. Restore it from a copy, or train again."
        )


def wanted_steps(run: RunId, record: RunRecord, checkpoint: str | None) -> list[int]:
    """Returns the steps of a run that --checkpoint asks for: None is the final model (0), `all` is it and every checkpoint, and so is `saved` of
    a run that may have none.

    Raises MissingRunError if the run did not save the checkpoint.
    """
    if checkpoint is None:
        return [0]
    if checkpoint == EVERY_SAVED:
        return [0, *record.checkpoints]
    saved = ", ".join(map(str, record.checkpoints)) or "none (set training.all.checkpoints in the study)"
    if checkpoint == _EVERY_CHECKPOINT:
        if not record.checkpoints:
            raise MissingRunError(f"the run of {run} saved no checkpoint: {saved}")
        return [0, *record.checkpoints]
    if not checkpoint.isdigit() or int(checkpoint) not in (0, *record.checkpoints):
        raise MissingRunError(
            f"the run of {run} has no checkpoint {checkpoint!r}; saved steps: {saved}; 0 or none: the final model"
        )
    return [int(checkpoint)]
