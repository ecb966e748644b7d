"""results/tuning/: the trials of one arm on one task, each a training with another learning rate, and the rate that was chosen."""

from __future__ import annotations

from typing import Any, Literal

from repdrift.core.records.base import Record

TUNING_FOLDER = "tuning"
TRIALS_FOLDER = "trials"
"""Folder of the finished trials, below that of an arm's choices."""
TUNING_FORMAT_VERSION = 1

Sampler = Literal["grid", "optuna"]


class TuningTrial(Record):
    """One trial: a training with one learning rate, scored on training rows that were held out of it."""

    key: str
    """Hash of everything that determines the trial: same key, same trial."""
    learning_rate: float
    outcome: Literal["finished", "diverged", "stopped"]
    """`diverged`: the loss or the model's numbers were no longer finite. `stopped`: by Optuna, since other trials did better."""
    metric: str | None
    """The primary score: `accuracy`, `f1` or `loss`; null if the trial diverged."""
    score: float | None
    """The primary score on the held-out rows, higher is better (a loss has a minus); null unless the trial finished."""
    low: float | None = None
    """The lower end of the 95 % interval of `score` over held-out rows, whole groups drawn; null with fewer than 10 groups."""
    high: float | None = None
    constant_score: float | None = None
    """That of the best constant answer on these rows, or of the base model where it has the score itself; higher is better, as `score`. Null in records of
    older versions."""
    metrics: dict[str, float | None] = {}
    """All scores on the held-out rows."""
    scores_along: dict[int, float] = {}
    """The primary score by step, where a trial is scored on the way."""
    reason: str | None = None
    """Why the trial did not finish."""
    n_train: int
    n_held_out: int
    steps: int | None
    started: str
    wall_time_s: float
    device: str | None
    versions: dict[str, str]

    @property
    def broke_down(self) -> bool:
        """True if it diverged, or ended no better than a constant answer (for a loss: than the base model). Records of older versions do not tell the latter."""
        no_better = self.score is not None and self.constant_score is not None and self.score <= self.constant_score
        return self.outcome == "diverged" or no_better


class TuningRecord(Record):
    """The trials of one arm on one task, and the learning rate that was chosen: that of the best score, the lower one of equals."""

    format_version: Literal[1] = TUNING_FORMAT_VERSION
    key: str
    """Hash of everything that determines the choice: same key, same choice."""
    task: str
    method: str
    words: str
    """The arm in a few words."""
    sampler: Sampler
    rates: list[float]
    """The rates of a grid; for Optuna's sampler the ends of the range."""
    n_trials: int
    pruning: bool
    seed: int
    """Seed of every trial; no seed of the study."""
    held_out: float
    """Share of the training rows that was to be held out."""
    held_out_rows: str
    """How many rows were held out, in words."""
    hyperparameters: dict[str, Any]
    """The settings of every trial, without the learning rate."""
    base_model: str
    base_digest: str
    base_settings: dict[str, str] = {}
    data_source: str
    data_fingerprint: str
    """Of all training rows, as `RunRecord.data_fingerprint`."""
    trials: list[TuningTrial]
    learning_rate: float
    at_edge: Literal["lowest", "highest"] | None
    """Whether the chosen rate is the lowest or the highest that was tried: a better one may lie beyond."""
    created: str

    @property
    def best(self) -> TuningTrial:
        """The trial of the chosen rate."""
        return next(t for t in self.trials if t.learning_rate == self.learning_rate and t.score is not None)

    @property
    def broke_down_above(self) -> TuningTrial | None:
        """The trial of the next higher rate, if that one broke down and the chosen one did not."""
        above = [t for t in self.trials if t.learning_rate > self.learning_rate and t.outcome != "stopped"]
        nearest = min(above, key=lambda trial: trial.learning_rate, default=None)
        return nearest if nearest and nearest.broke_down and not self.best.broke_down else None


class StudyTuning(Record):
    """The tuning of a study: how its learning rates were chosen. Methods that were not tuned alike may differ by their rates alone."""

    tuned: bool
    """Whether the study asks for tuning, and every arm and task has its choice."""
    cautions: list[str] = []
    """Sentences that change how every number is read; they stand in the first lines of every output."""
    methods_text: str
    """How the rates were chosen, for a methods section."""
    fixed_rates: dict[str, dict[str, float]] = {}
    """By task and method: the rates that the study fixes; empty if it is tuned."""
    choices: list[TuningRecord] = []


def chosen_trial(trials: list[TuningTrial]) -> TuningTrial | None:
    """Returns the trial with the best score, the one of the lower rate if several are equal; None if none finished."""
    finished = [trial for trial in trials if trial.score is not None and trial.outcome == "finished"]
    return max(finished, key=lambda trial: (trial.score, -trial.learning_rate), default=None)


def edge_of(trials: list[TuningTrial], learning_rate: float) -> Literal["lowest", "highest"] | None:
    """Tells whether a rate is the lowest or the highest of all that were tried, also by trials that did not finish."""
    rates = [trial.learning_rate for trial in trials]
    if learning_rate == min(rates):
        return "lowest"
    return "highest" if learning_rate == max(rates) else None
