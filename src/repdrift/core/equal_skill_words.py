"""Comparisons at equal skill in words, for the summary, the page and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from repdrift.core.records.equal_skill import EqualSkill, SkillScore
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.words import (
    first_apart,
    method_title,
    p_equals,
    percent,
    percent_range,
    score_number,
    some_listed,
    task_title,
)

WHAT_IT_ANSWERS = (
    "A method that learnt less may drift less for that reason. So drift is also compared where every run had the same score: it is read off each run's path "
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


def yardstick(*, higher_is_better: bool) -> str:
    """Names what a model has to beat to have learnt: of a score the best constant answer, of a loss the base model."""
    return "the best constant answer" if higher_is_better else "the base model"


def where_compared(score: SkillScore) -> str:
    """Returns the score of a task with its choice: `SST-2: accuracy 0.791, the best that every run reaches (LoRA, seed 3: no more)`."""
    limit = f" ({'; '.join(score.limiting)}: no more)" if score.chosen == "the best that every run reaches" else ""
    chance = (
        "how far scores differ by chance is not known"
        if score.tolerance is None
        else f"scores differ by chance by about {score_number(score.tolerance)}"
    )
    return (
        f"{task_title(score.task)}: {score.metric} {score_number(score.score)}, {score.chosen}{limit}. Scores are over {score.n_items:,} validation rows, "
        f"which no choice of a learning rate or checkpoint has seen; {yardstick(higher_is_better=score.higher_is_better)} has {score_number(score.constant_score)}, and {chance}."
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
        f"{said}; its interval contains the reduction at equal skill"
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


def different_scores(found: Sequence[EqualSkill]) -> list[str]:
    """Returns cautions on methods whose reductions at equal skill must not be compared with each other: at other scores, or over other tasks."""
    rest_on: dict[tuple[str, ...], list[str]] = {}
    by_task: dict[str, dict[str, list[str]]] = {}
    for each in found:
        for score in each.scores if each.task != ALL_TASKS else []:
            at = by_task.setdefault(each.task, {}).setdefault(f"{score.metric} {score_number(score.score)}", [])
            at.append(method_title(each.comparison))
        if each.task == ALL_TASKS and each.test is not None:
            rest_on.setdefault(tuple(each.tasks), []).append(method_title(each.comparison))
    said = first_apart(
        [
            f"{some_listed(names, most=3)}: {some_listed([task_title(t) for t in tasks], most=3)}"
            for tasks, names in rest_on.items()
        ]
    )
    over_other_tasks = [
        f"Over all tasks, reductions at equal skill are of other tasks for one method than for another ({said}), so they must not be compared with "
        "each other."
    ]
    return [
        *(over_other_tasks if len(rest_on) > 1 else []),
        *_at_other_scores(by_task),
    ]


def _at_other_scores(by_task: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Sentences on tasks with several scores. by_task: by task, then score in words, the methods that are compared there."""
    return [
        f"On {task_title(task)} each method is compared with the reference at another score "
        f"({first_apart([f'{some_listed(names, most=3)}: {score}' for score, names in at.items()])}), so their reductions at equal skill must not be compared with "
        "each other. To compare all of them at one score, name it: analysis.equal_skill_score."
        for task, at in by_task.items()
        if len(at) > 1
    ]


def skill_notes(found: Sequence[EqualSkill], *, several: bool) -> list[str]:
    """Returns the scores, conditions, second opinions and reasons behind the comparisons. several: more than one method is compared."""
    compared = [each for each in found if each.test is not None]
    notes = [
        f"{f'{method_title(each.comparison)} on ' if several else ''}{where_compared(score)}"
        for each in compared
        for score in each.scores
    ]
    notes += different_scores(found)
    notes += [said for each in compared for said in each.conditions]
    notes += [
        f"Second opinion, {task_title(each.task)}{f', {method_title(each.comparison)}' if several else ''}: {said}."
        for each in compared
        if (said := second_opinion(each))
    ]
    notes += [each.missing for each in found if each.missing is not None]
    return list(dict.fromkeys(notes))


def reduction_at_end(found: EqualSkill, results: DriftResults) -> float | None:
    """Returns the reduction in the final models of the same contrast and the same tasks; None if there is none.

    Where only some tasks can be compared at equal skill, or where others have learnt at the end, the reduction over all tasks is of
    other tasks. It is then taken anew from the drifts of those that are compared here, means over tasks of means over runs.
    """
    first = results.study.comparison_method
    same = [r for r in results.reductions if r.layer is None and (r.comparison or first) == found.comparison]
    by_task = {r.task: r for r in same}
    if (whole := by_task.get(found.task)) is None:
        return None
    if found.task != ALL_TASKS or set(whole.tasks) in (
        {*found.tasks},
        set(),
    ):  # files of older versions do not name the tasks
        return whole.reduction
    drifts = [(r.comparison_drift, r.reference_drift) for task in found.tasks if (r := by_task.get(task)) is not None]
    tops, bottoms = (
        [top for top, _ in drifts if top is not None],
        [bottom for _, bottom in drifts if bottom is not None],
    )
    if not len(tops) == len(bottoms) == len(found.tasks) or whole.reduction is None:
        return None
    return 1 - sum(tops) / sum(bottoms)


def tasks_in_words(found: EqualSkill, results: DriftResults) -> str:
    """Returns the task of a row, or the number of tasks where not all of them can be compared at equal skill."""
    tasks = results.study.tasks
    if found.task != ALL_TASKS or len(found.tasks) in (0, len(tasks)):
        return task_title(found.task)
    return f"{len(found.tasks)} of {len(tasks)} tasks"
