"""Comparisons at equal skill in words, for the summary, the page and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from repdrift.core.records.equal_skill import EqualSkill, SkillScore
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.words import listed, method_title, p_equals, percent, percent_range, task_title

WHAT_IT_ANSWERS = (
    "A method that learnt less drifts less. So drift is also compared where every run had the same score: it is read off each run's path "
    "of score and drift over its checkpoints. Scores are noisy, so the path is smoothed: checkpoints between which the score does "
    "not rise are taken together."
)


def over_all_tasks(found: Iterable[EqualSkill], comparison: str) -> EqualSkill | None:
    """Returns a method's comparison over all tasks; None if the analysis has none."""
    return next((each for each in found if each.task == ALL_TASKS and each.comparison == comparison), None)


def in_one_line(found: EqualSkill) -> str:
    """Returns the outcome, or that there is none, why, and what makes it possible."""
    if found.test is not None:
        return found.test.sentence
    return f"Whether {method_title(found.comparison)} drifts less at equal skill is not known. {found.missing}"


def all_in_lines(found: Sequence[EqualSkill]) -> list[str]:
    """Returns a line for every contrast over all tasks, in the order of the records; a reason that all share stands once."""
    return list(dict.fromkeys(in_one_line(each) for each in found if each.task == ALL_TASKS))


def where_compared(score: SkillScore) -> str:
    """Returns the score of a task with its choice: `SST-2: accuracy 0.791, the best that every run reaches (LoRA, seed 3: no more)`."""
    limit = f" ({listed(score.limiting)}: no more)" if score.chosen == "the best that every run reaches" else ""
    return (
        f"{task_title(score.task)}: {score.metric} {score.score:.3f}, {score.chosen}{limit}. Scores are over {score.n_items:,} validation rows, "
        "which no choice of a learning rate or checkpoint has seen; the best constant answer has "
        f"{score.constant_score:.3f}, and scores differ by chance by about {score.tolerance:.3f}."
    )


def second_opinion(found: EqualSkill) -> str:
    """Returns the regression in words, and whether it agrees; empty if there was nothing to compare."""
    other = found.second_opinion
    if other is None:
        return ""
    if other.reduction is None or other.pvalue is None:
        return f"no regression: {other.missing}"
    said = (
        f"reduction {percent(other.reduction)}, interval {percent_range(other.low, other.high)}, {p_equals(other.pvalue)} "
        f"({other.n_points} checkpoints of {other.n_runs} runs)"
    )
    if other.agrees is None:
        return said
    return (
        f"{said}, in agreement"
        if other.agrees
        else f"{said}; it DISAGREES: the reduction at equal skill lies outside of its interval"
    )


def disagreement(found: EqualSkill) -> str | None:
    """Returns a caution if the second opinion contradicts the comparison."""
    if found.second_opinion is None or found.second_opinion.agrees is not False:
        return None
    where = "over all tasks" if found.task == ALL_TASKS else f"on {task_title(found.task)}"
    return (
        f"At equal skill {where} ({method_title(found.comparison)}) the second opinion, a regression of log drift on score, disagrees: "
        f"{percent(found.reduction)} less by the paths, {percent(found.second_opinion.reduction)} by the regression "
        f"({percent_range(found.second_opinion.low, found.second_opinion.high)}). The relation of drift and score may differ between the "
        "methods: look at the figure of drift against score."
    )


def skill_notes(found: Sequence[EqualSkill], *, several: bool) -> list[str]:
    """Returns the scores, conditions, second opinions and reasons behind the comparisons. several: more than one method is compared."""
    compared = [each for each in found if each.test is not None]
    notes = [where_compared(score) for each in compared for score in each.scores]
    notes += [said for each in compared for said in each.conditions]
    notes += [
        f"Second opinion, {task_title(each.task)}{f', {method_title(each.comparison)}' if several else ''}: {said}."
        for each in compared
        if (said := second_opinion(each))
    ]
    notes += [each.missing for each in found if each.missing is not None]
    return list(dict.fromkeys(notes))


def reduction_at_end(found: EqualSkill, results: DriftResults) -> float | None:
    """Returns the reduction in the final models of the same contrast and task; None if there is none."""
    first = results.study.comparison_method
    same = (
        r.reduction
        for r in results.reductions
        if r.layer is None and r.task == found.task and (r.comparison or first) == found.comparison
    )
    return next(same, None)
