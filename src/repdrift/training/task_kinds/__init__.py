"""One file for each kind of task: it turns rows into features, and scores a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from repdrift.tasks import ClassValue, Row, TaskSpec
from repdrift.training.features import Feature, PaddingCollator
from repdrift.training.options import TrainingOptions
from repdrift.training.scores import Scored
from repdrift.training.task_kinds.causal_lm import CausalProcessor
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

    @property
    def left_out_since(self) -> str:
        """Says why rows are left out: `have a question that alone fills the input`."""
        ...

    def notes(self, rows: Sequence[Row]) -> Sequence[str]:
        """Sentences on how rows were made into inputs; rows that are left out are not among them."""
        ...

    def before_training(self, model: nn.Module, rows: Sequence[Row]) -> None:
        """Look at the base model, before it is prepared for tuning, where the best constant answer needs it.

        rows: some that `evaluate` will score; it is called for each part of them. The model's weights and the state of random generators stay as they are.
        """
        ...

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> Scored:
        """Score `model` over `rows`. The model stays on its device."""
        ...


def processor_for(
    spec: TaskSpec,
    tokenizer: Any,
    collator: PaddingCollator,
    options: TrainingOptions,
    max_length: int,
    class_names: Sequence[ClassValue] = (),
) -> TaskProcessor:
    """Make the processor for the task's kind. class_names: the classes, in the order of their numbers."""
    if spec.kind == "classification":
        return ClassificationProcessor(spec, tokenizer, collator, max_length, class_names)
    if spec.kind == "causal_lm":
        return CausalProcessor(spec, tokenizer, collator, max_length)
    return QuestionAnsweringProcessor(
        spec, tokenizer, collator, max_length, options.doc_stride, options.null_threshold_share
    )
