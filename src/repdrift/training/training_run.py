"""Training runs: a base model, a task, a method and a seed in; a finished run folder `results/{method}_{timestamp}/` out.

A finished run is found again by what its run.json says, not by the name of its folder.
"""

from __future__ import annotations

import gc
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import NonFiniteError, StorageError
from repdrift.core.progress import say
from repdrift.core.quoted_examples import record_without_examples
from repdrift.core.records.base import library_versions
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RUN_FILE, RunRecord
from repdrift.models import (
    resolve_model,
)
from repdrift.training.arms import counted_tuning
from repdrift.training.checkpoints import keep_checkpoint
from repdrift.training.class_labels import ClassLabels
from repdrift.training.fitted_job import FittedJob, fit_job
from repdrift.training.history import HISTORY_FILE, History
from repdrift.training.kept_scores import keep_row_scores, scored_on
from repdrift.training.peak_memory import peak_memory_bytes
from repdrift.training.processor import processor_words
from repdrift.training.resuming import Resuming, Unfinished, find_unfinished, remove_states
from repdrift.training.run_claim import run_claim
from repdrift.training.saved_runs import FinishedRun, file_sizes, latest_finished, model_files_sha256, require_whole
from repdrift.training.scores import compared_with_constant
from repdrift.training.trainer_needs import require_available
from repdrift.training.training_job import TrainingJob
from repdrift.training.training_state import STATE_FOLDER

if TYPE_CHECKING:  # it imports transformers' Trainer, which takes seconds
    pass


def train(job: TrainingJob, results_dir: Path) -> FinishedRun:
    """Train `job`, unless a finished run of the same key and base settings is in `results_dir`; then return the latest of those.

    If another process is training it, this waits and returns that process's run. A run that stops half-way leaves a folder
    without run.json: the same job goes on from the state in it, if one was saved, and nothing else picks it up. Raises StorageError if the model cannot be saved, NonFiniteError if training
    diverges; then nothing of the run is left.
    """
    found = train_unless_claimed(job, results_dir, wait=True)
    assert found is not None  # noqa: S101  it waited
    return found


def train_unless_claimed(job: TrainingJob, results_dir: Path, *, wait: bool = False) -> FinishedRun | None:
    """Train `job` as `train` does, or return None at once if another process is training it and `wait` is False.

    Raises ModelError if a finished run of this job lacks a file, or a file has another size.
    """
    key = job.key()
    if (existing := latest_finished(results_dir, key, job.base_settings())) is not None:
        require_whole(existing)
        return existing
    require_available(job.options, job.arm)
    job.classes()  # a fault in the labels is found before anything is written
    with run_claim(results_dir, key, job.words, wait=wait) as is_mine:
        if not is_mine:
            return None
        # It may have been finished while this process waited, or between the look and the claim.
        return latest_finished(results_dir, key, job.base_settings()) or _train_or_resume(job, results_dir, key)


def _train_or_resume(job: TrainingJob, results_dir: Path, key: str) -> FinishedRun:
    started = datetime.now(UTC)
    classes = job.classes()
    found = find_unfinished(results_dir, key)
    folder = found.folder if found else new_run_folder(results_dir, job.arm.name, started)
    say(f"training {job.words} -> {folder}")
    try:
        record = _train_into(folder, job, classes, key, started, found)
        gc.collect()  # model and trainer refer to each other
        record.write(folder / RUN_FILE)
        remove_states(folder)
    except (StorageError, NonFiniteError):
        shutil.rmtree(folder, ignore_errors=True)  # half a model, or one of NaN: of no use, and it fills the disk
        raise
    finally:
        if not any((folder / part).exists() for part in (STATE_FOLDER, CHECKPOINT_FOLDER, MODEL_FOLDER)):
            with suppress(OSError):  # losses alone are of no use
                (folder / HISTORY_FILE).unlink()
        with suppress(OSError):
            folder.rmdir()  # only an empty one: nothing is left of a run that could not begin
    return FinishedRun(folder, record, trained_now=True)


def new_run_folder(results_dir: Path, method: str, started: datetime) -> Path:
    """Make a folder that no other run has, not even one that starts in the same second."""
    name = f"{method}_{started:%Y%m%d_%H%M%S}"
    with storage_errors(results_dir):
        results_dir.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = results_dir / (name if number == 1 else f"{name}_{number}")
            try:
                folder.mkdir()  # fails if it exists: whoever makes the folder owns it
            except FileExistsError:
                number += 1
                continue
            return folder


def _train_into(
    folder: Path, job: TrainingJob, classes: ClassLabels | None, key: str, started: datetime, found: Unfinished | None
) -> RunRecord:
    clock = time.perf_counter()
    base_settings = job.base_settings()  # before the files are loaded, not hours later
    resuming = Resuming(folder, key, job.options.save_interval, base_settings, found)
    fitted = fit_job(job, classes, folder, resuming=resuming)
    resumed = resuming.resumed
    tuned, rows, held, kept = fitted.tuned, fitted.rows, fitted.held, fitted.kept
    scores = fitted.scores_at.scored[kept]
    learnt = compared_with_constant(scores)
    if not learnt.learnt:
        say(f"note: {job.words}: {learnt.sentence}")
    said = [f"{held.said}, and the checkpoint with the best score on them was kept (step {kept})."] if held else []
    if said:
        say(f"{job.words}: {said[0]}")
    History(folder).append(kept, {"scored": MODEL_FOLDER, **scores.metrics})
    if kept in fitted.checkpoints:
        keep_checkpoint(folder, kept)
    else:
        fitted.save_to(Path(MODEL_FOLDER))
    notes = [
        *(f"Training rows: {note}" for note in (*rows.notes, *fitted.read.notes)),
        *(f"Evaluation rows: {note}" for note in (*fitted.validation.notes, *fitted.scored.notes)),
        *([classes.said] if classes is not None else []),
        *scores.notes,
        *said,
        *([tuned.quantised.sentence] if tuned.quantised is not None else []),
    ]
    record = RunRecord(
        key=key,
        task=job.spec.name,
        task_kind=job.spec.kind,
        method=job.arm.name,
        tuning=counted_tuning(tuned.model, job.arm, job.spec.kind, quantised=tuned.quantised),
        seed=job.seed,
        base_model=job.base.ref,
        base_revision=job.base.revision,
        base_digest=job.base.weights_digest(),
        base_settings=base_settings,
        weights_digest=resolve_model(str(folder / MODEL_FOLDER)).weights_digest(),
        files=(files := model_files_sha256(folder)),
        file_sizes=file_sizes(folder, files),
        num_labels=len(classes.values) if classes is not None else None,
        class_labels=list(classes.values) if classes is not None else None,
        hyperparameters={
            **job.hyperparameters(),
            "max_length_used": fitted.max_length,
            "steps": fitted.result.steps,
            **scores.chosen,
        },
        data_source=rows.source,
        data_notes=notes,
        data_fingerprint=rows.fingerprint,
        n_train=len(fitted.read.rows) if scores.n_train is None else scores.n_train,
        n_validation=len(fitted.scored.rows),
        metrics={**scores.metrics, "train_loss": fitted.result.train_loss},
        learnt=learnt,
        checkpoints=fitted.checkpoints,
        checkpoint_scores={step: dict(fitted.scores_at.scored[step].metrics) for step in fitted.checkpoints},
        held_out_scores=fitted.scores_at.held_out_scores() if held is not None else None,
        kept_step=kept if held is not None else None,
        versions=library_versions(),
        device=str(next(tuned.model.parameters()).device),
        processor=processor_words(next(tuned.model.parameters()).device),
        started=started.isoformat(timespec="seconds"),
        resumed_at=[*resumed.record.resumed_at, resumed.record.step] if resumed else [],
        wall_time_s=round(time.perf_counter() - clock + (resumed.record.wall_time_s if resumed else 0), 2),
        peak_memory_bytes=max(peak_memory_bytes(), (resumed.record.peak_memory_bytes or 0) if resumed else 0),
    )
    return _with_row_scores(folder, job, fitted, record if job.quotes_rows else record_without_examples(record))


def _with_row_scores(folder: Path, job: TrainingJob, fitted: FittedJob, record: RunRecord) -> RunRecord:
    """Keeps every row's scores of the final model and of the checkpoints; returns the record that names them."""
    models = {0: fitted.kept, **{step: step for step in fitted.checkpoints}}
    found = {name: fitted.scores_at.scored[step] for name, step in models.items()}
    scored = {name: of_model for name, of_model in found.items() if of_model.of_rows}
    ids = [name for number, name in enumerate(job.validation_ids()) if number not in fitted.scored.left_out]
    limit = job.options.max_validation_samples
    return record.model_copy(
        update={
            "row_scores_sha256": keep_row_scores(folder, ids, scored),
            "row_scores_of": {
                step: scored_on(job.spec, job.base, job.validation, limit, record, step) for step in scored
            },
        }
    )
