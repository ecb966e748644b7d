"""Everything that determines one trained model, and the key that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.run import RUN_FORMAT_VERSION
from repdrift.models import (
    ModelSource,
    settings_digests,
    tokenizer_digests,
)
from repdrift.tasks import Rows, TaskSpec, rows_in_use
from repdrift.tasks.sample_set import chosen_numbers, sample_ids
from repdrift.training.arms import Arm
from repdrift.training.class_labels import ClassLabels, class_labels
from repdrift.training.held_out_rows import HeldOut, hold_out
from repdrift.training.options import TrainingOptions

if TYPE_CHECKING:  # it imports transformers' Trainer, which takes seconds
    pass


@dataclass(frozen=True)
class TrainingJob:
    """Everything that determines one run: a model of this base, tuned by `arm` on the task, with this seed.

    quotes_rows: whether the notes of its record may quote rows of the data; it changes nothing else.
    """

    spec: TaskSpec
    arm: Arm
    seed: int
    base: ModelSource
    options: TrainingOptions
    train: Rows
    validation: Rows
    quotes_rows: bool = True

    def training_rows(self) -> Rows:
        """The rows to train on: all, or `max_train_samples` of them, the same ones for every method and seed."""
        return rows_in_use(self.spec, self.train, self.options.max_train_samples)

    def validation_rows(self) -> Rows:
        """The rows to compute the metrics on: all, or `max_validation_samples` of them."""
        return rows_in_use(self.spec, self.validation, self.options.max_validation_samples)

    def validation_ids(self) -> list[str]:
        """The ids of `validation_rows()`, in their order."""
        ids = sample_ids(self.spec, self.validation.rows, self.validation.source)
        limit = self.options.max_validation_samples
        return [ids[i] for i in chosen_numbers(self.spec, self.validation.rows, limit, source=self.validation.source)]

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
