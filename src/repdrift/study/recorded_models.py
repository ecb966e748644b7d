"""Saved models as the records of their runs name them: their files are neither read nor checked, so that many are known quickly."""

from __future__ import annotations

from dataclasses import dataclass, fields

from repdrift.core.errors import ModelError
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RUN_FILE, RunRecord
from repdrift.models import ModelSource, resolve_model, weights_digest_of
from repdrift.training import FinishedRun


@dataclass(frozen=True)
class RecordedModel(ModelSource):
    """A saved model whose weights are known by the run's record: its files are not read."""

    digest: str = ""

    def weights_digest(self) -> str:
        """Returns the digest that the record names."""
        return self.digest


def recorded_model(trained: FinishedRun, step: int) -> RecordedModel:
    """Returns the model that a run saved after `step` (0: the final model), with the digest of its weights that the run's record names.

    Raises ModelError if the folder holds no model, or the record names no such digest.
    """
    folder = trained.folder / (MODEL_FOLDER if step == 0 else f"{CHECKPOINT_FOLDER}/step_{step:06d}")
    digest = recorded_digest(trained.record, step)
    if digest is None:
        raise ModelError(f"{trained.folder / RUN_FILE} does not name the weights in {folder}")
    source = resolve_model(str(folder))
    return RecordedModel(**{name.name: getattr(source, name.name) for name in fields(source)}, digest=digest)


def recorded_digest(record: RunRecord, step: int) -> str | None:
    """The digest of a run's weights after `step` (0: the final model), as its record names it; None if it does not."""
    if step == 0:
        return record.weights_digest
    below = f"{CHECKPOINT_FOLDER}/step_{step:06d}/"
    files = {name.removeprefix(below): digest for name, digest in record.files.items() if name.startswith(below)}
    return weights_digest_of(files) if files else None
