"""One file for each kind of task: it turns rows into features, and scores a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from repdrift.tasks import Row, TaskSpec
from repdrift.training.features import Feature, PaddingCollator
from repdrift.training.options import TrainingOptions
from repdrift.training.task_kinds.classification import ClassificationProcessor
from repdrift.training.task_kinds.question_answering import QuestionAnsweringProcessor


class TaskProcessor(Protocol):
    """Encodes the rows of one task, and scores a model on it. A run needs nothing else of a kind of task."""

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Encode rows for training: one or more features for each row."""
        ...

    def left_out(self, rows: Sequence[Row]) -> list[int]:
        """Numbers of the rows of which no input can be made; the other methods must not be given these."""
        ...

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> dict[str, float]:
        """Metrics of `model` over `rows`, as fractions in [0, 1]. The model stays on its device."""
        ...


def processor_for(
    spec: TaskSpec, tokenizer: Any, collator: PaddingCollator, options: TrainingOptions, max_length: int
) -> TaskProcessor:
    """Make the processor for the task's kind."""
    if spec.kind == "classification":
        return ClassificationProcessor(spec, tokenizer, collator, max_length)
    return QuestionAnsweringProcessor(spec, tokenizer, collator, max_length, options.doc_stride)
