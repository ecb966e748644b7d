"""The training behind the runs of an analysis, read from their folders where these are on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError, StorageError
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.records.trained_run import MOST_POINTS, TrainedRun, TrainingCurve
from repdrift.core.shared_paths import shared_path
from repdrift.drift.task_sets import OpenedSet, TaskSets
from repdrift.training.history import HISTORY_FILE, STEP, read_history

_NOT_CURVES = frozenset({STEP, "epoch", "learning_rate", "grad_norm"})
_MOST_UP = 2
"""Folders that a relative path may go up; from there on it would name folders of this machine that lead to it."""


def trained_runs(tasks: Sequence[TaskSets], output_dir: Path) -> list[TrainedRun]:
    """Returns the training of every final model that was analysed, in the order of the plan.

    A run is known by the digest of its weights. Runs whose folder is not here, or has no run.json that can be read, are left out.
    """
    found = [_trained_run(run, output_dir) for sets in tasks for run in sets.runs if run.plan.step == 0]
    return [run for run in found if run is not None]


def _trained_run(run: OpenedSet, output_dir: Path) -> TrainedRun | None:
    digest = run.stored.metadata.weights_digest
    folder = run.plan.weights.get(digest)
    as_planned = folder is not None
    folder = folder or run.plan.other_weights.get(digest)
    if folder is None:
        return None
    try:
        record = RunRecord.read(folder / RUN_FILE)
    except DataError:  # `repdrift status` and `verify` say what is wrong with it; the analysis does not rest on it
        return None
    if record.weights_digest != digest:
        return None
    curves, missing = _curves(folder)
    return TrainedRun(
        task=record.task,
        method=record.method,
        seed=record.seed,
        folder=_from(output_dir, folder),
        key=record.key,
        weights_digest=digest,
        base_digest=record.base_digest,
        base_settings=record.base_settings,
        as_planned=as_planned,
        tuning=record.tuning,
        hyperparameters=record.hyperparameters,
        data_source=record.data_source,
        data_fingerprint=record.data_fingerprint,
        n_train=record.n_train,
        n_validation=record.n_validation,
        kept_step=record.kept_step,
        device=record.device,
        processor=record.processor,
        started=record.started,
        wall_time_s=record.wall_time_s,
        peak_memory_bytes=record.peak_memory_bytes,
        versions=record.versions,
        curves=curves,
        no_curves=missing,
    )


def _curves(folder: Path) -> tuple[list[TrainingCurve], str | None]:
    """The numbers of the history, one curve each, or the reason why there are none."""
    try:
        lines = read_history(folder)
    except StorageError as error:
        return [], str(error)
    points: dict[str, list[tuple[int, float | None]]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in _NOT_CURVES and (number := _number(value)) is not ...:
                points.setdefault(name, []).append((line[STEP], number))
    if not points:
        return [], f"the run has no {HISTORY_FILE}, as those of older versions"
    return [_thinned(name, sorted(found, key=lambda point: point[0])) for name, found in points.items()], None


def _number(value: Any) -> Any:
    """A number, None for one that was not finite, and `...` for what is no number."""
    if value is None:
        return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ...


def _thinned(name: str, points: Sequence[tuple[int, float | None]]) -> TrainingCurve:
    """A curve of at most `MOST_POINTS` points, spread evenly over all; the first and the last are among them."""
    count = len(points)
    kept = (
        range(count)
        if count <= MOST_POINTS
        else [round(i * (count - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)]
    )
    return TrainingCurve(
        name=name, steps=[points[i][0] for i in kept], values=[points[i][1] for i in kept], points=count
    )


def _from(start: Path, folder: Path) -> str:
    """The folder as seen from `start`, where that does not lead far up; else its last parts."""
    relative = Path(os.path.relpath(folder, start))
    if relative.parts[: _MOST_UP + 1] == ("..",) * (_MOST_UP + 1):
        return shared_path(str(folder.resolve()))
    return relative.as_posix()
