"""run.json: what was trained, from what, with what, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from repdrift.core.records.base import Record
from repdrift.core.records.quantised_base import QuantisedBase

RUN_FILE = "run.json"
MODEL_FOLDER = "final_model"
CHECKPOINT_FOLDER = "checkpoints"
ROW_SCORES_FILE = "row_scores.parquet"
RUN_FORMAT_VERSION = 1

_MEASURED = frozenset({"max_length_used", "steps", "null_threshold"})
"""Entries of `RunRecord.hyperparameters` that were found in training, not set."""

LOSSES = frozenset({"loss"})
"""Primary scores of which less is better."""

FULL_FINETUNE = "full_finetune"
LORA = "lora"


class Tuning(Record):
    """The tuning of an arm. kind: the kind of tuning. options: of that kind. words: both, for people."""

    kind: str
    options: dict[str, Any]
    words: str
    trained_parameters: int
    """Numbers that training moves, the task's new head among them."""
    head_parameters: int
    """Those of the task's new head."""
    all_parameters: int
    """Numbers of the model, adapter and head among them."""
    quantised_base: QuantisedBase | None = None
    """How the base model was kept in few bits while the adapter trained; null: in full precision."""


class Learnt(Record):
    """The comparison of a trained model's score with that of the best constant answer, over the rows that were scored."""

    metric: str
    """The primary score: `accuracy`, `f1` or `loss`."""
    score: float
    constant_answer: str
    """The best answer that looks at no row, in words; for language modelling, the base model."""
    constant_score: float
    difference: float
    """By how much the model is better: score - constant_score; for a loss, constant_score - score."""
    low: float | None
    """The lower end of the 95 % interval of `difference`, paired over rows, whole groups drawn; null: no interval can be given."""
    high: float | None
    n_items: int
    """Rows that were scored."""
    n_groups: int
    """Groups of rows that are drawn together, such as questions on one paragraph; `n_items` if each row stands alone."""
    learnt: bool | None
    """Whether the model has learnt its task: the interval lies above 0, and that of `written` too if there is one. Null: not known, since there are
    too few groups."""
    sentence: str
    written: Learnt | None = None
    """What the model writes, where a task scores that: against writing one and the same text for every row. A loss also falls when a model learns how
    answers look, and not which one is right."""

    @property
    def higher_is_better(self) -> bool:
        """True if more of the primary score is better; False for a loss."""
        return self.metric not in LOSSES


class RunRecord(Record):
    """One finished training run. Its folder holds `final_model/`, `row_scores.parquet` and, optionally, `checkpoints/step_NNNNNN/`."""

    format_version: Literal[1] = RUN_FORMAT_VERSION
    key: str
    """Hash of everything that determines the result: same key, same run."""
    status: Literal["finished"] = "finished"
    task: str
    task_kind: str
    """`classification`, `extractive_qa` or `causal_lm`: says which head the model carries."""
    method: str
    """The arm's name, such as `full_finetune`, `lora` or a name that the study gives."""
    tuning: Tuning | None = None
    """What the arm trains; null in records of older versions."""
    seed: int
    base_model: str
    base_revision: str | None = None
    base_digest: str
    """SHA-256 over the base model's weight files."""
    base_settings: dict[str, str] = {}
    """SHA-256 of the base model's `config.json` (of the entries that change numbers) and of its tokenizer's files, by name.
    Empty in records of older versions."""
    weights_digest: str
    """SHA-256 over the weight files in `final_model/`."""
    files: dict[str, str] = {}
    """SHA-256 of every file of the final model and of the checkpoints, by path below the run's folder: weights,
    configuration, tokenizer. Empty in records of older versions."""
    file_sizes: dict[str, int] = {}
    """Bytes of each of these files, by the same paths. Empty in records of older versions."""
    num_labels: int | None = None
    class_labels: list[bool | int | str] | None = None
    """The classes as the data write them, in the order of the head's outputs; null for question answering and in older runs."""
    hyperparameters: dict[str, Any]
    data_source: str
    data_notes: list[str] = []
    """Sentences on how the training and evaluation rows were read."""
    data_fingerprint: str
    n_train: int
    n_validation: int
    metrics: dict[str, float | None]
    learnt: Learnt | None = None
    """Whether the model has learnt its task; null in records of older versions, of which it is not known."""
    checkpoints: list[int] = []
    checkpoint_scores: dict[int, dict[str, float | None]] | None = None
    """By step: the metrics of each checkpoint on the rows that `metrics` are of; null in records of older versions."""
    held_out_scores: dict[int, float] | None = None
    """By step: the primary score on the part of the training rows that was held out to choose the best checkpoint; higher
    is better (a loss has a minus). Null if the model is that after the last step."""
    kept_step: int | None = None
    """The step of the checkpoint that is the final model; null if it is that after the last step."""
    row_scores_sha256: str | None = None
    """SHA-256 of `row_scores.parquet` beside this file, which has every row's scores; null in records of older versions."""
    row_scores_of: dict[int, str] = {}
    """By step, 0 for the final model: the SHA-256 of all that determines these scores beside the weights. Steps that are not there have none."""
    versions: dict[str, str]
    device: str
    processor: str | None = None
    """The processor by name, with what its kernels go by; null in records of older versions."""
    started: str
    """Start, ISO 8601 in UTC."""
    resumed_at: list[int] = []
    """The steps after which the training was resumed from a saved state."""
    wall_time_s: float
    peak_memory_bytes: int | None
    """Largest resident memory of the process (CPU) or allocated device memory (GPU), where known."""

    @property
    def final_step(self) -> int | None:
        """Optimiser steps that the final model was trained for: those of the kept checkpoint, or all; None if it is not known."""
        steps = self.hyperparameters.get("steps")
        return self.kept_step or (steps if isinstance(steps, int) else None)

    def other_settings(self, wanted: Mapping[str, Any]) -> list[str]:
        """Names of the settings that differ from `wanted`, as `TrainingJob.hyperparameters()` gives them; none if all agree.

        A setting that only one side names differs, unless it is null: options that change nothing at their usual value are
        not named.
        """
        return other_settings(self.hyperparameters, wanted)


def other_settings(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns the names of settings that differ, as `RunRecord.other_settings` says. recorded: the hyperparameters of a run's record."""
    names = [*wanted, *(name for name in recorded if name not in wanted and name not in _MEASURED)]
    return [name for name in names if recorded.get(name) != wanted.get(name)]
