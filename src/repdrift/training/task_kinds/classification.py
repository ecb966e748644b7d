"""Classification of a text or of a pair of texts, scored by accuracy and F1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from repdrift.core.errors import DataError
from repdrift.core.row_scores import RowScores
from repdrift.tasks import ClassValue, Row, TaskSpec
from repdrift.tasks.encoding import described_row, encode_row
from repdrift.training.features import Feature, PaddingCollator, predict
from repdrift.training.scores import Scored, named_groups, rows_sharing_a_text


class ClassificationProcessor:
    """The features and metrics of a classification task."""

    def __init__(
        self,
        spec: TaskSpec,
        tokenizer: Any,
        collator: PaddingCollator,
        max_length: int,
        class_names: Sequence[ClassValue] = (),
    ) -> None:
        self._spec = spec
        self._tokenizer = tokenizer
        self._collator = collator
        self._max_length = max_length
        self._class_names = class_names

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Encode each row as one feature, with its class as `labels`. Raises DataError, naming the row, if one has no tokens."""
        return [self._feature(number, row) for number, row in enumerate(rows)]

    def left_out(self, rows: Sequence[Row]) -> list[int]:  # noqa: ARG002
        """Numbers of the rows of which no input can be made: none, since every text can be cut."""
        return []

    @property
    def left_out_since(self) -> str:
        """Says why rows are left out: none is."""
        return "cannot be read"

    def notes(self, rows: Sequence[Row]) -> list[str]:  # noqa: ARG002
        """Sentences on how rows were made into inputs: nothing has to be said."""
        return []

    def before_training(self, model: nn.Module, rows: Sequence[Row]) -> None:
        """Does nothing: the best constant answer is a class."""

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> Scored:
        """Score `model` over `rows` by accuracy and F1, see classification_metrics().

        The best constant answer is the largest class of `rows`, which no other constant answer beats on them.
        """
        logits = predict(model, self.features(rows), self._collator, ("logits",), per_token=False)
        predicted = np.array([int(value[0].argmax()) for value in logits])
        actual = np.array([row[self._label] for row in rows])
        largest = int(np.bincount(actual).argmax())
        right = (predicted == actual).astype(np.float64)
        return Scored(
            metrics=classification_metrics(predicted, actual),
            metric="accuracy",
            items=right,
            constant=(actual == largest).astype(np.float64),
            constant_answer=f"{self._class_name(largest)!r} for every row",
            groups=named_groups(self._spec, rows)
            or rows_sharing_a_text([[row[column] for row in rows] for column in self._spec.text_columns]),
            of_rows=(RowScores("accuracy", right),),
        )

    def _class_name(self, number: int) -> ClassValue:
        return self._class_names[number] if self._class_names else number

    @property
    def _label(self) -> str:
        if self._spec.label_column is None:
            raise DataError(f"task {self._spec.name!r} has no label column: it can be measured but not trained on")
        return self._spec.label_column

    def _feature(self, number: int, row: Row) -> Feature:
        try:
            encoded = encode_row(row, self._spec, self._tokenizer, max_length=self._max_length)
        except DataError as error:
            raise DataError(f"task {self._spec.name!r}, {described_row(row, number, self._spec)}: {error}") from error
        return {
            "input_ids": encoded.input_ids,
            "token_type_ids": encoded.token_type_ids,
            "labels": row[self._label],
        }


def classification_metrics(predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Accuracy and F1 of predicted classes. predicted, actual: (n,) integers.

    With two classes, F1 is that of class 1; with more, the unweighted mean over the classes. Fractions in [0, 1].
    F1 of a class that is neither predicted nor present counts as 0, as in scikit-learn.
    """
    classes = [1] if actual.max(initial=0) <= 1 and predicted.max(initial=0) <= 1 else sorted({*actual, *predicted})
    scores = []
    for label in classes:
        hits = int(np.sum((predicted == label) & (actual == label)))
        claimed, present = int(np.sum(predicted == label)), int(np.sum(actual == label))
        scores.append(2 * hits / (claimed + present) if claimed + present else 0.0)
    return {"accuracy": float(np.mean(predicted == actual)), "f1": float(np.mean(scores))}
