"""Training runs: a base model, a task, a method and a seed in; a finished run folder `results/{method}_{timestamp}/` out.

A finished run is found again by what its run.json says, not by the name of its folder.
"""

from __future__ import annotations

import copy
import gc
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import DataError, NonFiniteError, StorageError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.records.base import library_versions
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RUN_FILE, RUN_FORMAT_VERSION, RunRecord
from repdrift.models import (
    ModelSource,
    length_limit,
    load_task_model,
    load_tokenizer,
    quiet_transformers,
    resolve_model,
    settings_digests,
    tokenizer_digests,
)
from repdrift.tasks import Row, Rows, TaskSpec, effective_max_length, rows_in_use
from repdrift.tasks.encoding import described_row
from repdrift.training.arms import Arm, counted_tuning, prepared
from repdrift.training.checkpoints import CheckpointSchedule, CheckpointScores, checkpoint_steps, keep_checkpoint
from repdrift.training.class_labels import ClassLabels, class_labels
from repdrift.training.features import PaddingCollator, require_ids_fit
from repdrift.training.held_out_rows import HeldOut, hold_out
from repdrift.training.history import HISTORY_FILE, History
from repdrift.training.options import TrainingOptions
from repdrift.training.peak_memory import peak_memory_bytes
from repdrift.training.prompt_room import require_room_for_prompt
from repdrift.training.resuming import Resuming, Unfinished, find_unfinished, remove_states
from repdrift.training.run_claim import run_claim
from repdrift.training.saved_model import save_trained
from repdrift.training.saved_runs import FinishedRun, file_sizes, latest_finished, model_files_sha256, require_whole
from repdrift.training.scores import Scored, compared_with_constant
from repdrift.training.task_kinds import TaskProcessor, processor_for
from repdrift.training.trainer_needs import require_available, require_checkpointable
from repdrift.training.training_state import STATE_FOLDER
from repdrift.training.tuning_kind import TunedModel

if TYPE_CHECKING:  # it imports transformers' Trainer, which takes seconds
    from repdrift.training.fit import FitResult


@dataclass(frozen=True)
class TrainingJob:
    """Everything that determines one run: a model of this base, tuned by `arm` on the task, with this seed."""

    spec: TaskSpec
    arm: Arm
    seed: int
    base: ModelSource
    options: TrainingOptions
    train: Rows
    validation: Rows

    def training_rows(self) -> Rows:
        """The rows to train on: all, or `max_train_samples` of them, the same ones for every method and seed."""
        return rows_in_use(self.spec, self.train, self.options.max_train_samples)

    def validation_rows(self) -> Rows:
        """The rows to compute the metrics on: all, or `max_validation_samples` of them."""
        return rows_in_use(self.spec, self.validation, self.options.max_validation_samples)

    def held_out(self) -> HeldOut | None:
        """The training rows in two parts, if the best checkpoint is to be kept; None if the last one is.

        Raises DataError if there are too few rows to hold some out.
        """
        if self.options.keep != "best":
            return None
        return hold_out(self.spec, self.training_rows(), self.options.held_out, never=self.validation.rows)

    def classes(self) -> ClassLabels | None:
        """The classes in all rows of the task, however many of them are used; None for question answering.

        Raises DataError or ConfigError if the labels cannot be learnt, see class_labels().
        """
        return class_labels(self.spec, self.train, self.validation) if self.spec.kind == "classification" else None

    def base_settings(self) -> dict[str, str]:
        """SHA-256 of the base model's configuration and of its tokenizer's files, as `RunRecord.base_settings` has them.

        They stand beside the key, not in it, so that the keys of older runs hold.
        """
        return {**settings_digests(self.base), **tokenizer_digests(self.base)}

    @property
    def words(self) -> str:
        """The run in words, for progress and messages."""
        return f"{self.spec.name}, {self.arm.name}, seed {self.seed}"

    def hyperparameters(self) -> dict[str, Any]:
        """The settings that determine the trained weights, as `run.json` records them."""
        return self.options.for_key(self.spec.kind) | self.arm.for_key() | self.spec.for_key()

    def key(self) -> str:
        """The hash of everything that determines the trained weights and their metrics."""
        return config_sha256(
            {
                "format": RUN_FORMAT_VERSION,
                "task": self.spec.name,
                "kind": self.spec.kind,
                "method": self.arm.name,
                "seed": self.seed,
                "base": self.base.weights_digest(),
                "options": self.hyperparameters() | self.spec.continuation.for_scores(),
                "train": self.training_rows().fingerprint,
                "validation": self.validation_rows().fingerprint,
            }
        )


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
    require_available(job.options)
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


@dataclass(frozen=True)
class FittedJob:
    """A trained model in memory, with its scores and the rows that it was trained and scored on.

    kept: the step of the model that is kept. rows, validation: those asked for; read, scored: those of which inputs can be made.
    """

    tuned: TunedModel
    save_to: Callable[[Path], None]
    result: FitResult
    checkpoints: list[int]
    scores_at: CheckpointScores
    held: HeldOut | None
    kept: int
    rows: Rows
    read: _Readable
    validation: Rows
    scored: _Readable
    max_length: int


def fit_job(
    job: TrainingJob,
    classes: ClassLabels | None,
    folder: Path,
    *,
    saves: bool = True,
    due: Callable[[int], list[int]] | None = None,
    after_score: Callable[[int, Scored], None] | None = None,
    resuming: Resuming | None = None,
) -> FittedJob:
    """Train the model of `job` and score it. Checkpoints are written to `folder`, unless `saves` is False; the final model is not.

    due: from the number of steps to those after which the model is scored; None: the job's checkpoints. after_score: is given
    each of these scores as it arises, and may end the training by an exception. resuming: saves the training's state, and goes on
    from one.
    Raises NonFiniteError if training diverges.
    """
    from transformers import set_seed

    from repdrift.training.fit import fit  # imports transformers' Trainer, which takes seconds

    rows, validation, held = job.training_rows(), job.validation_rows(), job.held_out()
    if classes is not None:
        say(f"{job.spec.name}: {classes.said}")
    tokenizer = load_tokenizer(job.base)
    # The seed is set before the model is built: the first weights of the head and of LoRA's A are random.
    with quiet_transformers():
        set_seed(job.seed)
    num_labels = len(classes.values) if classes is not None else None
    model = load_task_model(job.base, job.spec.kind, num_labels=num_labels)
    max_length = effective_max_length(tokenizer, length_limit(model), job.options.max_length)
    require_room_for_prompt(job, tokenizer, length_limit(model), max_length)
    collator = PaddingCollator.of(tokenizer)
    class_names = classes.values if classes is not None else ()
    processor = processor_for(job.spec, tokenizer, collator, job.options, max_length, class_names)
    to_train = rows if held is None else held.to_train
    read, scored = _readable(to_train.rows, processor, job.spec), _readable(validation.rows, processor, job.spec)
    features = processor.features(classes.numbered(read.rows) if classes is not None else read.rows)
    require_ids_fit(features, model, tokenizer)
    scored_rows = classes.numbered(scored.rows) if classes is not None else scored.rows
    held_rows = _readable(held.held_out.rows, processor, job.spec).rows if held is not None else []
    held_rows = classes.numbered(held_rows) if classes is not None else held_rows
    of_held = copy.copy(processor)  # with what was set aside for choices, which both make alike
    processor.before_training(model, scored_rows)
    if held is not None:
        of_held.before_training(model, held_rows)
    require_checkpointable(model, job.options)
    tuned = prepared(model, job.arm, job.spec.kind)

    def save_to(place: Path) -> None:
        save_trained(tuned, tokenizer, folder / place, job.words)

    scores_at = CheckpointScores(
        job.words,
        evaluate=lambda: processor.evaluate(tuned.model, scored_rows),
        evaluate_held_out=(lambda: of_held.evaluate(tuned.model, held_rows)) if held is not None else None,
    )

    history = History(folder) if saves else None

    def at_checkpoint(step: int) -> None:
        place = Path(CHECKPOINT_FOLDER) / f"step_{step:06d}"
        if saves:
            save_to(place)
        scores_at.score(step)
        if history is not None:
            history.append(step, {"scored": place.as_posix(), **scores_at.scored[step].metrics})
        if after_score is not None:
            after_score(step, scores_at.scored[step])

    total = job.options.steps(len(features))
    checkpoints = CheckpointSchedule(due(total) if due else checkpoint_steps(job.options, total), at_checkpoint)
    result = fit(
        tuned.model,
        features,
        collator,
        job.options,
        seed=job.seed,
        work_dir=folder,
        checkpoints=checkpoints,
        label=job.words,
        history=history,
        states=resuming.keeper(tuned.model, scores_at) if resuming is not None else None,
    )
    scores_at.score(result.steps)
    kept = scores_at.best() if held is not None else result.steps
    return FittedJob(
        tuned,
        save_to,
        result,
        checkpoints.saved,
        scores_at,
        held,
        kept,
        rows,
        read,
        validation,
        scored,
        max_length,
    )


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
    return RunRecord(
        key=key,
        task=job.spec.name,
        task_kind=job.spec.kind,
        method=job.arm.name,
        tuning=counted_tuning(tuned.model, job.arm, job.spec.kind),
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
        data_notes=[
            *(f"Training rows: {note}" for note in (*rows.notes, *fitted.read.notes)),
            *(f"Evaluation rows: {note}" for note in (*fitted.validation.notes, *fitted.scored.notes)),
            *([classes.said] if classes is not None else []),
            *scores.notes,
            *said,
        ],
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
        started=started.isoformat(timespec="seconds"),
        resumed_at=[*resumed.record.resumed_at, resumed.record.step] if resumed else [],
        wall_time_s=round(time.perf_counter() - clock + (resumed.record.wall_time_s if resumed else 0), 2),
        peak_memory_bytes=max(peak_memory_bytes(), (resumed.record.peak_memory_bytes or 0) if resumed else 0),
    )


@dataclass(frozen=True)
class _Readable:
    """Rows of which inputs can be made. notes: a sentence on those that are left out, if there are any."""

    rows: Sequence[Row]
    notes: tuple[str, ...] = ()


def _readable(rows: Sequence[Row], processor: TaskProcessor, spec: TaskSpec) -> _Readable:
    """Leaves out the rows of which no input can be made, and says how many. Raises DataError if none is left."""
    left_out = set(processor.left_out(rows))
    kept = [row for i, row in enumerate(rows) if i not in left_out] if left_out else rows
    notes = tuple(processor.notes(kept))
    for note in notes:
        say(f"note: {spec.name}: {note}")
    if not left_out:
        return _Readable(rows, notes)
    first = described_row(rows[min(left_out)], min(left_out), spec)
    said = f"{len(left_out)} of {len(rows)} rows {processor.left_out_since}; the first: {first}"
    if len(left_out) == len(rows):
        raise DataError(f"task {spec.name!r}: {said}. Give a larger max_length.")
    say(f"note: {spec.name}: {said}. They are left out.")
    return _Readable(kept, (f"{said}. They were left out.", *notes))
