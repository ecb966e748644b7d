"""Comparisons of methods at equal skill: the drift of every run when it had reached the same score."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record
from repdrift.core.records.claims import HypothesisTest, Interval

Crossing = Literal["reached", "never", "before the first checkpoint"]


class SkillRun(Record):
    """One run at the score of its task.

    best: the highest score that its smoothed path reaches, in the score's own unit. drift: mean over layers, by the primary
    measure; null unless the path crosses the score. crossing: whether it does.
    """

    task: str
    method: str
    seed: int
    best: float
    drift: float | None
    crossing: Crossing
    n_checkpoints: int
    """Checkpoints of the path, the final model among them."""
    left_out: int = 0
    """Checkpoints after the best score that are no part of the path, because the score had fallen there."""


class RunPath(Record):
    """The path of one run: score and drift (mean over layers, primary measure) of its checkpoints in the order of training.

    steps: 0 is the final model. smoothed_scores, smoothed_drifts: the path from which drift at a score is read; scores in
    their own unit. A base model that has the score itself is its first point, with drift 0.
    """

    method: str
    seed: int
    steps: list[int]
    scores: list[float]
    drifts: list[float]
    smoothed_scores: list[float]
    smoothed_drifts: list[float]


class SkillScore(Record):
    """The score at which a task is compared, in its own unit."""

    task: str
    metric: str
    higher_is_better: bool
    score: float
    chosen: Literal["the best that every run reaches", "named by the study"]
    limiting: list[str]
    """The runs whose best score is the lowest, in words: by method, such as `LoRA, seeds 1 and 2`."""
    constant_score: float
    """The score of the best constant answer; for a loss the base model's own."""
    tolerance: float | None
    """How far scores differ by chance: the half-width of the 95 % interval of a model's gain over the constant answer, mean over runs;
    null if no run has that interval, as with fewer than ten scored rows."""
    n_items: int
    """Rows that were scored: the task's validation rows, on which no learning rate and no checkpoint was chosen."""


class SkillRegression(Record):
    """A second opinion: log drift regressed on score and method over all checkpoints, with errors clustered by run.

    Its interval and p are two-sided. agrees: whether the reduction at equal skill lies in the interval; null if there is none.
    """

    reduction: float | None
    low: float | None
    high: float | None
    pvalue: float | None
    n_points: int
    """Checkpoints in the fit."""
    n_runs: int
    agrees: bool | None = None
    missing: str | None = None
    """The reason why there is no regression."""


class EqualSkill(Record):
    """One method against the reference at equal skill, on a task or on all tasks that can be compared so.

    It answers whether the method drifts less for the same score; `Reduction` and its tests answer it for the end of training.
    """

    comparison: str
    task: str
    """A task, or `all`: stratified by task."""
    tasks: list[str] = []
    """The tasks that it rests on; empty if there is no comparison."""
    measure: str
    scores: list[SkillScore] = []
    reduction: float | None = None
    """1 - D_comparison / D_reference at the scores, from means over tasks of means over runs."""
    interval: Interval | None = None
    reference_drift: float | None = None
    comparison_drift: float | None = None
    runs: list[SkillRun] = []
    metric: str | None = None
    """The primary score of the task; null over all tasks, and where it is not known."""
    higher_is_better: bool = True
    constant_score: float | None = None
    paths: list[RunPath] = []
    """The runs' paths on this task; empty over all tasks, and where runs have none."""
    test: HypothesisTest | None = None
    """The test; null if there is no comparison."""
    second_opinion: SkillRegression | None = None
    conditions: list[str] = []
    """Sentences on what the comparison is conditional on, such as runs that never reach a named score."""
    missing: str | None = None
    """The reason, as a sentence, why there is no comparison, and what makes one possible."""

    @property
    def sentence(self) -> str:
        """The outcome in plain words: the test's, or the reason why there is none."""
        return self.test.sentence if self.test is not None else self.missing or ""
