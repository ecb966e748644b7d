"""The tile of the tasks' scores, and how far each method's scores lie from the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repdrift.core.outcome_words import score_title
from repdrift.core.records.outcomes import ON_TASK
from repdrift.core.records.run import LOSSES
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import counted, listed, method_title, sentence_case
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict
from repdrift.report.page.study.outcome_lines import Side, outcome_lines, side
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_NAMED = 2


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


def mean_scores(data: ReportData) -> list[MeanScore]:
    """Returns the mean scores of every task and method that has one.

    The primary score is the one by which it was judged whether a model has learnt; else the first one that the runs have.
    """
    found: list[MeanScore] = []
    for task in data.tasks:
        for method in data.methods:
            runs = [run for run in data.planned(task, method) if run.status == "ok"]
            judged_by = next((run.learnt.metric for run in runs if run.learnt is not None), None)
            metric = judged_by or next((name for run in runs for name in run.metrics if name != "train_loss"), None)
            known = [] if metric is None else [value for run in runs if (value := _score(run, metric)) is not None]
            if metric is not None and known:
                found.append(MeanScore(task, method, metric, float(np.mean(known)), len(known)))
    return found


def score_gaps(data: ReportData) -> list[ScoreGap]:
    """Returns how far each method's scores lie from the reference's, task by task; none where one of the two has no score."""
    reference = data.results.study.reference_method
    scores = mean_scores(data)
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
    """A difference of scores in three decimals, as scores have them, with its sign: `+0.012`; `0.000` for less than that."""
    rounded = round(value, 3) + 0.0
    return f"{rounded:+.3f}" if rounded else "0.000"


def score_tile(data: ReportData) -> Tile:
    """Returns the tile: of one method the scores, of several the differences from the reference."""
    scores, gaps = mean_scores(data), score_gaps(data)
    tasks, arms = task_titles(data), arm_titles(data)
    details = [
        f"{tasks[s.task]}, {arms[s.method]}: {score_title(s.metric)} {s.mean:.3f}, mean over {counted(s.models, 'model')}."
        for s in scores
    ]
    if not scores:
        return Tile("score", "Score", NOT_KNOWN, "no score", "open", "No trained model has a score.")
    if not gaps:
        label = f"Score ({listed(list(dict.fromkeys(score_title(s.metric) for s in scores)))})"
        value = " to ".join(
            dict.fromkeys(f"{end:.3f}" for end in (min(s.mean for s in scores), max(s.mean for s in scores)))
        )
        line = "On validation rows, mean over models. There is no reference on the same task to compare it with."
        return Tile("score", label, value, "not compared", "plain", line, details)

    def named(gap: ScoreGap) -> str:
        score = gap.score
        return f"{arms[score.method]} on {tasks[score.task]}: {score_title(score.metric)} {difference_text(gap.difference)}"

    if len(gaps) <= _NAMED:
        line = f"{sentence_case('; '.join(named(gap) for gap in gaps))}."
    else:
        worst, best = min(gaps, key=lambda gap: gap.gain), max(gaps, key=lambda gap: gap.gain)
        line = f"Worst: {named(worst)}. Best: {named(best)}."
    worse = sum(gap.gain < 0 for gap in gaps)
    value = gap_range(gaps) or f"worse in {worse} of {len(gaps)}"
    chip, verdict = _chip(_judged(data, gaps))
    details += outcome_lines(data, {gap.score.metric for gap in gaps}, differences_only=True)
    label = f"Score minus that of {method_title(data.results.study.reference_method)}"
    return Tile("score", label, value, chip, verdict, line, details)


def _score(run: RunStatus, metric: str) -> float | None:
    value = run.metrics.get(metric)
    return run.learnt.score if value is None and run.learnt is not None and run.learnt.metric == metric else value


def _judged(data: ReportData, gaps: Sequence[ScoreGap]) -> list[Side]:
    """The sides of those differences that have an interval, paired over validation rows."""
    found = data.results.outcomes
    better = {(g.score.task, g.score.method, g.score.metric): g.score.higher_is_better for g in gaps}
    return (
        []
        if found is None
        else [
            at
            for d in found.differences
            if (place := (d.task, d.method, d.outcome)) in better
            and d.inputs == ON_TASK
            and (at := side(d, higher_is_better=better[place])) is not None
        ]
    )


def _chip(judged: Sequence[Side]) -> tuple[str, Verdict]:
    if not judged:
        return "not tested", "plain"
    worse, better = judged.count("worse"), judged.count("better")
    if worse and better:
        return "worse and better", "open"
    if worse:
        return f"worse in {worse} of {len(judged)}", "no"
    return (f"better in {better} of {len(judged)}", "yes") if better else ("no difference shown", "plain")
