"""Scores of models that were trained before: the saved model is loaded, and scored as it was in training. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from repdrift.core.errors import DataError, OutcomeNotApplicable
from repdrift.core.process_group import device
from repdrift.core.records.run import RunRecord
from repdrift.models import ModelSource, load_adapted, load_task_model, load_tokenizer
from repdrift.tasks import Row, Rows, TaskSpec
from repdrift.tasks.sample_set import chosen_numbers, sample_ids
from repdrift.training.class_labels import ClassLabels
from repdrift.training.features import PaddingCollator
from repdrift.training.options import TrainingOptions
from repdrift.training.prompt_learning import read_behind_prompt
from repdrift.training.scores import Scored
from repdrift.training.task_kinds import TaskProcessor, processor_for
from repdrift.training.task_kinds.question_answering import QuestionAnsweringProcessor

_THRESHOLD = "null_threshold"


@dataclass(frozen=True)
class SavedScores:
    """The scores of a saved model. ids: those of the n rows that were scored. left_out: rows of which no input can be made."""

    scored: Scored
    ids: tuple[str, ...]
    left_out: int


@dataclass
class SavedScorer:
    """Scores saved models of one task on the same rows.

    validation: all evaluation rows, of which runs are scored on those that `options` take. training_rows: gives all training rows, which only a checkpoint of question
    answering needs, to choose its null threshold. What the base model answers is computed once for all models whose inputs are
    made alike.
    """

    spec: TaskSpec
    base: ModelSource
    options: TrainingOptions
    validation: Rows
    training_rows: Callable[[], Rows]
    _processors: dict[tuple[object, ...], tuple[TaskProcessor, Sequence[Row], tuple[str, ...]]] = field(
        default_factory=dict, init=False
    )

    def score(self, source: ModelSource, record: RunRecord, step: int = 0) -> SavedScores:
        """Score the model in `source`, which is that of `record` after `step` (0: the final model).

        Raises OutcomeNotApplicable if the record, of an older version, does not say how its rows were made into inputs; ModelError if the model cannot be loaded;
        NonFiniteError if it gives NaN.
        """
        processor, rows, ids = self._processor(record)
        if isinstance(processor, QuestionAnsweringProcessor):
            if step == 0:
                processor.take_threshold(record.hyperparameters.get(_THRESHOLD, 0.0))
            else:
                processor.choose_threshold_on(self.training_rows().rows)
        model = load_saved(self.base, source, self.spec.kind, record.num_labels)
        return SavedScores(processor.evaluate(model, rows), ids, len(self._numbers()) - len(rows))

    def _numbers(self) -> list[int]:
        limit = self.options.max_validation_samples
        return chosen_numbers(self.spec, self.validation.rows, limit, source=self.validation.source)

    def _processor(self, record: RunRecord) -> tuple[TaskProcessor, Sequence[Row], tuple[str, ...]]:
        max_length = record.hyperparameters.get("max_length_used")
        if not isinstance(max_length, int):
            raise OutcomeNotApplicable(
                f"the run of {record.task}, {record.method}, seed {record.seed} does not say at which length its texts were cut "
                "(max_length_used in run.json). Train it again."
            )
        classes = self._classes(record)
        key = (max_length, classes.values if classes is not None else None)
        if key not in self._processors:
            tokenizer = load_tokenizer(self.base)
            names = classes.values if classes is not None else ()
            collator = PaddingCollator.of(tokenizer)
            processor = processor_for(self.spec, tokenizer, collator, self.options, max_length, names)
            ids = sample_ids(self.spec, self.validation.rows, self.validation.source)
            numbers = self._numbers()
            left_out = set(processor.left_out([self.validation.rows[i] for i in numbers]))
            kept = [i for at, i in enumerate(numbers) if at not in left_out]
            rows: Sequence[Row] = [self.validation.rows[i] for i in kept]
            if classes is not None:
                rows = classes.numbered(rows)
            if self.spec.kind == "causal_lm":
                model = load_task_model(self.base, self.spec.kind)
                processor.before_training(nn.Module.to(model, device()), rows)  # pyright: ignore[reportArgumentType]
            self._processors[key] = processor, rows, tuple(ids[i] for i in kept)
        return self._processors[key]

    def _classes(self, record: RunRecord) -> ClassLabels | None:
        """The classes in the order of the head's outputs. Raises DataError if rows have a class that the run did not know.

        Raises OutcomeNotApplicable for a run of an older version, which does not tell its classes.
        """
        if self.spec.kind != "classification":
            return None
        column = self.spec.label_column
        if column is None or record.class_labels is None:
            raise OutcomeNotApplicable(
                f"the run of {record.task}, {record.method}, seed {record.seed} does not say which classes its head has (class_labels in "
                "run.json). Train it again."
            )
        known = tuple(record.class_labels)
        named = bool(self.spec.label_names)
        if not named:
            unknown = [row[column] for row in self.validation.rows if row[column] not in known]
            if unknown:
                raise DataError(
                    f"task {self.spec.name!r}: an evaluation row has the class {unknown[0]!r}, and the head of {record.method}, seed {record.seed} knows "
                    f"{', '.join(map(repr, known[:12]))}. The data was changed since training: train again."
                )
        return ClassLabels(column, known, "", named=named)


def load_saved(base: ModelSource, source: ModelSource, task_kind: str, num_labels: int | None) -> nn.Module:
    """Load a trained model with its head, an adapter on `base` or a whole model, in evaluation mode, on the device in use."""
    if source.is_adapter:
        model = read_behind_prompt(load_adapted(base, source, task_kind, num_labels=num_labels), task_kind)
    else:
        model = load_task_model(source, task_kind, num_labels=num_labels)
    return nn.Module.to(model, device()).eval()
