"""Skill: which tasks a comparison of methods may rest on, by whether their models have learnt them.

A model that learnt less drifts less, under any method. So a task counts in the claims over all tasks only if no model of the two
methods there is known not to have learnt it. The task is left out whole: leaving out single models would compare the lucky seeds of
one method with all seeds of the other. A claim about a task that is left out is not testable as a property of the method, and if
every task is, so are the claims over all tasks. Models of which it is not known stay in, and are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.learnt_words import judged_models, not_learnt, untestable_reason
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import method_title, some_listed, task_title
from repdrift.drift.analysis_plan import DriftPlan


@dataclass(frozen=True)
class Skill:
    """The tasks on which methods are compared, by skill.

    pooled: the tasks that claims over all tasks rest on; every task if none is testable. untestable: by task, and `all`, the
    reason, as a clause, why a comparison there says nothing of the methods. warnings: sentences on tasks that are left out.
    """

    pooled: list[str]
    untestable: dict[str, str]
    warnings: list[str]


def skill_of(statuses: Sequence[RunStatus], tasks: Sequence[str], plan: DriftPlan) -> Skill:
    """Returns the skill behind a comparison of the plan's two methods on these tasks."""
    models = judged_models(statuses)
    methods = (plan.comparison_method, plan.reference_method)
    failed = {task: found for task in tasks if (found := not_learnt(models, task, methods))}
    untestable = {task: untestable_reason(found) for task, found in failed.items()}
    testable = [task for task in tasks if task not in failed]
    if not failed:
        return Skill(list(tasks), {}, [])
    if not testable:
        untestable[ALL_TASKS] = untestable_reason([model for found in failed.values() for model in found])
        return Skill(list(tasks), untestable, [])
    of_arm = f" for {method_title(plan.comparison_method)}" if plan.several_arms else ""
    warning = (
        f"The claims and means over all tasks{of_arm} rest on {some_listed([task_title(task) for task in testable], most=3)} alone: on "
        f"{some_listed([task_title(task) for task in failed], most=3)} at least one model has not learnt the task."
    )
    return Skill(testable, untestable, [warning])
