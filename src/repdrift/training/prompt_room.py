"""Room for a learned prompt: virtual tokens take positions of the model, which the longest input then lacks."""

from __future__ import annotations

from typing import Any, Protocol

from repdrift.core.errors import DataError
from repdrift.core.length_limit import LengthLimit
from repdrift.core.words import counted
from repdrift.tasks import Rows, TaskSpec
from repdrift.training.arms import Arm
from repdrift.training.class_labels import ClassLabels
from repdrift.training.features import PaddingCollator
from repdrift.training.options import TrainingOptions
from repdrift.training.task_kinds import processor_for


class PlannedRun(Protocol):
    """The parts of a `TrainingJob` that say what its inputs are."""

    @property
    def spec(self) -> TaskSpec: ...
    @property
    def arm(self) -> Arm: ...
    @property
    def options(self) -> TrainingOptions: ...

    def training_rows(self) -> Rows:
        """The rows to train on."""
        ...

    def validation_rows(self) -> Rows:
        """The rows to compute the metrics on."""
        ...

    def classes(self) -> ClassLabels | None:
        """The classes of the task; None if it has none."""
        ...


def require_room_for_prompt(job: PlannedRun, tokenizer: Any, limit: LengthLimit, max_length: int) -> None:
    """Raises DataError if an input of `job`, a `TrainingJob`, and the virtual tokens of its arm are more than the model has positions for.

    limit: the model's. max_length: the longest allowed input. Inputs are made only if those of `max_length` tokens would not fit. No
    input is cut further for one arm alone, since every arm is to train on the same.
    """
    prompt = job.arm.virtual_tokens
    if not prompt or limit.most is None or max_length + prompt <= limit.most:
        return
    longest, most = _longest(job, tokenizer, max_length), limit.most - prompt
    if longest > most:
        raise DataError(
            f"task {job.spec.name!r}, arm {job.arm.name!r}: its longest input has {counted(longest, 'token')}, and behind "
            f"{counted(prompt, 'virtual token')} the model takes {max(most, 0)} ({limit.reason}). "
            + (f"Set max_length to {most} or less, for every arm" if most > 0 else "Give fewer virtual_tokens")
            + ("" if most <= 0 else ", or give fewer virtual_tokens")
            + "."
        )


def _longest(job: PlannedRun, tokenizer: Any, max_length: int) -> int:
    classes = job.classes()
    names = classes.values if classes is not None else ()
    processor = processor_for(job.spec, tokenizer, PaddingCollator.of(tokenizer), job.options, max_length, names)
    longest = 0
    for rows in (job.training_rows().rows, job.validation_rows().rows):
        left_out = set(processor.left_out(rows))
        read = [row for number, row in enumerate(rows) if number not in left_out]
        features = processor.features(classes.numbered(read) if classes is not None else read)
        longest = max([longest, *(len(feature["input_ids"]) for feature in features)])
    return longest
