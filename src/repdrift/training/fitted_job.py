"""One job trained in memory: the rows made into inputs, the model tuned and scored along the way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repdrift.core.errors import DataError
from repdrift.core.progress import say
from repdrift.core.records.run import CHECKPOINT_FOLDER
from repdrift.models import (
    length_limit,
    load_task_model,
    load_tokenizer,
    quiet_transformers,
)
from repdrift.models.mixed_precision import without_mixed_precision
from repdrift.tasks import Row, Rows, TaskSpec, effective_max_length
from repdrift.tasks.encoding import described_row
from repdrift.training.arms import prepared
from repdrift.training.checkpoints import CheckpointSchedule, CheckpointScores, checkpoint_steps
from repdrift.training.class_labels import ClassLabels
from repdrift.training.features import PaddingCollator, require_ids_fit
from repdrift.training.held_out_rows import HeldOut
from repdrift.training.history import History
from repdrift.training.prompt_room import require_room_for_prompt
from repdrift.training.resuming import Resuming
from repdrift.training.saved_model import save_trained
from repdrift.training.scores import Scored
from repdrift.training.task_kinds import TaskProcessor, processor_for
from repdrift.training.trainer_needs import require_checkpointable
from repdrift.training.training_job import TrainingJob
from repdrift.training.tuning_kind import TunedModel

if TYPE_CHECKING:  # it imports transformers' Trainer, which takes seconds
    from repdrift.training.fit import FitResult


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
    require_checkpointable(model, job.options, job.arm)
    tuned = prepared(model, job.arm, job.spec.kind)

    def save_to(place: Path) -> None:
        save_trained(tuned, tokenizer, folder / place, job.words)

    def evaluated(by: TaskProcessor, of_rows: Sequence[Row]) -> Scored:
        with without_mixed_precision(tuned.model):
            return by.evaluate(tuned.model, of_rows)

    scores_at = CheckpointScores(
        job.words,
        evaluate=lambda: evaluated(processor, scored_rows),
        evaluate_held_out=(lambda: evaluated(of_held, held_rows)) if held is not None else None,
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


@dataclass(frozen=True)
class _Readable:
    """Rows of which inputs can be made. notes: a sentence on those that are left out, if there are any; left_out: their numbers."""

    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    left_out: frozenset[int] = frozenset()


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
    return _Readable(kept, (f"{said}. They were left out.", *notes), frozenset(left_out))
