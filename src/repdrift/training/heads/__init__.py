"""One file per kind of task: how its rows become features, and how its predictions are scored."""

from __future__ import annotations

from typing import Any

from repdrift.tasks import TaskSpec
from repdrift.training.features import Head, PaddingCollator
from repdrift.training.heads.classification import ClassificationHead
from repdrift.training.heads.question_answering import QuestionAnsweringHead
from repdrift.training.options import TrainingOptions


def head_for(
    spec: TaskSpec, tokenizer: Any, collator: PaddingCollator, options: TrainingOptions, max_length: int
) -> Head:
    """The head that fits the kind of task."""
    if spec.kind == "classification":
        return ClassificationHead(spec, tokenizer, collator, max_length)
    return QuestionAnsweringHead(spec, tokenizer, collator, max_length, options.doc_stride)
