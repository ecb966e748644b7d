"""Scores of a study's final models: means by task and method, and how far each method's lie from the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from repdrift.core.records.results import DriftResults
from repdrift.core.records.run import LOSSES
from repdrift.core.records.study_info import RunStatus

_ROUNDING = 1e-12


@dataclass(frozen=True)
class MeanScore:
    """Mean primary score of the final models of one method on one task. models: how many have one."""

    task: str
    method: str
    metric: str
    mean: float
    models: int

    @property
    def higher_is_better(self) -> bool:
        """False for a loss."""
        return self.metric not in LOSSES


@dataclass(frozen=True)
class ScoreGap:
    """A method's mean score minus the reference's on the same task, in the score's own unit."""

    score: MeanScore
    difference: float

    @property
    def gain(self) -> float:
        """The difference, above 0 where the method is better."""
        return self.difference if self.score.higher_is_better else -self.difference


def mean_scores(results: DriftResults) -> list[MeanScore]:
    """Returns the mean scores of every task and method that has one.

    The primary score is the one by which it was judged whether a model has learnt; else the first one that the runs have.
    """
    found: list[MeanScore] = []
    for task in results.study.tasks:
        for method in results.study.methods:
            runs = [
                run
                for run in results.runs
                if (run.task, run.method, run.step) == (task, method, 0) and run.status == "ok"
            ]
            judged_by = next((run.learnt.metric for run in runs if run.learnt is not None), None)
            metric = judged_by or next((name for run in runs for name in run.metrics if name != "train_loss"), None)
            known = [] if metric is None else [value for run in runs if (value := _score(run, metric)) is not None]
            if metric is not None and known:
                found.append(MeanScore(task, method, metric, fmean(known), len(known)))
    return found


def score_gaps(results: DriftResults) -> list[ScoreGap]:
    """Returns how far each method's scores lie from the reference's, task by task; none where one of the two has no score."""
    reference = results.study.reference_method
    scores = mean_scores(results)
    bases = {score.task: score for score in scores if score.method == reference}
    return [
        ScoreGap(score, score.mean - base.mean)
        for score in scores
        if score.method != reference and (base := bases.get(score.task)) is not None and base.metric == score.metric
    ]


def gap_range(gaps: Sequence[ScoreGap]) -> str | None:
    """The smallest and the largest difference in words; None where scores and losses cannot stand on one scale."""
    if not gaps or not all(gap.score.higher_is_better for gap in gaps):
        return None
    ends = min(gap.difference for gap in gaps), max(gap.difference for gap in gaps)
    return " to ".join(dict.fromkeys(difference_text(end) for end in ends))


def difference_text(value: float) -> str:
    """A difference of scores in three decimals, as scores have them, with its sign: `+0.012`; `just above 0` for less than that."""
    rounded = round(value, 3)
    if rounded:
        return f"{rounded:+.3f}"
    return "0" if abs(value) < _ROUNDING else f"just {'above' if value > 0 else 'below'} 0"


def _score(run: RunStatus, metric: str) -> float | None:
    value = run.metrics.get(metric)
    return run.learnt.score if value is None and run.learnt is not None and run.learnt.metric == metric else value
