"""The tile of the tasks' scores, and how far each method's scores lie from the reference's."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.outcome_words import score_title
from repdrift.core.records.outcomes import ON_TASK
from repdrift.core.study_scores import ScoreGap, difference_text, gap_range, mean_scores, score_gaps
from repdrift.core.words import counted, listed, method_title, score_number, sentence_case
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict
from repdrift.report.page.study.outcome_lines import Side, outcome_lines, side
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_NAMED = 2


def score_tile(data: ReportData) -> Tile:
    """Returns the tile: of one method the scores, of several the differences from the reference."""
    scores, gaps = mean_scores(data.results), score_gaps(data.results)
    tasks, arms = task_titles(data), arm_titles(data)
    details = [
        f"{tasks[s.task]}, {arms[s.method]}: {score_title(s.metric)} {score_number(s.mean)}, mean over {counted(s.models, 'model')}."
        for s in scores
    ]
    if not scores:
        return Tile("score", "Score", NOT_KNOWN, "no score", "open", "No trained model has a score.")
    if not gaps:
        label = f"Score ({listed(list(dict.fromkeys(score_title(s.metric) for s in scores)))})"
        value = " to ".join(
            dict.fromkeys(f"{score_number(end)}" for end in (min(s.mean for s in scores), max(s.mean for s in scores)))
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
