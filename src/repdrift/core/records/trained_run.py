"""The training behind a run of an analysis: what its run.json says, and the loss along the way."""

from __future__ import annotations

from typing import Any

from repdrift.core.records.base import Record
from repdrift.core.records.run import Tuning

MOST_POINTS = 100
"""Points of a curve that results keep."""


class TrainingCurve(Record):
    """A number along the training: `loss`, or a score of the checkpoints. Of more than `MOST_POINTS` points some are left out."""

    name: str
    steps: list[int]
    values: list[float | None]
    """Null where the number was not finite."""
    points: int
    """Points that the run's history has."""


class TrainedRun(Record):
    """The training of one run, for the reader of an analysis; only of runs whose folder was on the machine that analysed them."""

    task: str
    method: str
    seed: int
    folder: str
    """The run's folder, from the folder of the results file."""
    key: str
    """Hash of everything that determines the run."""
    weights_digest: str
    base_digest: str
    base_settings: dict[str, str] = {}
    """As `RunRecord.base_settings`; empty in results of older versions."""
    as_planned: bool
    """Whether it was trained as the study says now; else other settings made the model that was analysed."""
    tuning: Tuning | None = None
    hyperparameters: dict[str, Any]
    data_source: str
    data_fingerprint: str
    n_train: int
    n_validation: int
    kept_step: int | None = None
    """The step of the checkpoint that is the final model; null if it is that after the last step."""
    device: str
    processor: str | None = None
    """As `RunRecord.processor`: models of one seed differ in their last bits, and then in more, between processors."""
    started: str
    wall_time_s: float
    peak_memory_bytes: int | None = None
    versions: dict[str, str]
    curves: list[TrainingCurve] = []
    no_curves: str | None = None
    """The reason why there are none."""
