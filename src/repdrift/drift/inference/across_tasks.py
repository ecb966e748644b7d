"""Inference across tasks: whether the reduction differs between them, and a mixed model as a second opinion."""

from __future__ import annotations

from collections import Counter

import numpy as np

from repdrift.core.errors import DegenerateInputError
from repdrift.core.hypotheses import INTERACTION
from repdrift.core.records.claims import HypothesisTest, MixedModel, Reduction
from repdrift.core.words import method_title, percent, task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.inference.arm_families import Draft, about
from repdrift.drift.inference.method_drifts import NO_LOGARITHM, MethodDrifts
from repdrift.drift.inference.verdicts import Evidence, Statement, not_testable
from repdrift.statistics import interaction_test, mixed_model_reduction

_TEST = "Welch's F of log ratios"


def interaction(drifts: MethodDrifts, found: Reduction, plan: DriftPlan) -> list[Draft | HypothesisTest]:
    """Test whether the reduction differs between tasks; none for one task, or where a method has one model on a task.

    Not testable if a drift has no logarithm, or if neither method varies on a task. There is no opposite that could be supported:
    tasks that do not visibly differ are undecided, not equal.
    """
    counts = Counter([("reference", task) for task in drifts.reference_tasks])
    counts.update(("comparison", task) for task in drifts.comparison_tasks)
    if len(drifts.tasks) < 2 or min(counts.values()) < 2:
        return []
    units = drifts.reference.size + drifts.comparison.size
    claim = plan.claim(INTERACTION)
    statement = Statement(claim, f"{len(drifts.tasks)} tasks have models of both methods")
    if found.reduction is None:
        reason = f"but for rounding, the mean drift of {method_title(plan.reference_method)} is not above 0"
        return [not_testable(INTERACTION, found, units, statement, reason, test=_TEST)]
    if not drifts.logarithm:
        return [not_testable(INTERACTION, found, units, statement, NO_LOGARITHM, test=_TEST)]
    try:
        test = interaction_test(drifts.reference, drifts.comparison, strata=drifts.reference_first)
    except DegenerateInputError as error:
        reason = str(error).rstrip(".")
        return [not_testable(INTERACTION, found, units, statement, reason, test=_TEST)]
    evidence = Evidence(
        statistic=test.statistic,
        pvalue=test.pvalue,
        opposite_pvalue=None,
        smallest_pvalue=None,
        exact=False,
        n_permutations=None,
        n_units=test.n_units,
        untestable=drifts.untestable,
    )
    reductions = {task: 1 - float(np.exp(ratio)) for task, ratio in test.log_ratios.items()}
    said = ", ".join(f"{percent(value)} on {task_title(task)}" for task, value in reductions.items())
    estimate = max(reductions.values()) - min(reductions.values())
    fields = {**about(INTERACTION, found), "test": _TEST, "estimate": estimate}
    return [Draft(fields, evidence, Statement(claim, f"the reduction of geometric means is {said}"))]


def mixed_model(drifts: MethodDrifts, of: Reduction, plan: DriftPlan) -> MixedModel:
    """Returns the reduction over all tasks by a linear mixed model of log drift, or why there is none."""
    if of.reduction is None or drifts.untestable is not None or not drifts.logarithm:
        nothing = f"but for rounding, the mean drift of {method_title(plan.reference_method)} is not above 0"
        reason = drifts.untestable or (nothing if of.reduction is None else NO_LOGARITHM)
        units = drifts.reference.size + drifts.comparison.size
        return MixedModel(
            comparison=of.comparison, reduction=None, low=None, high=None, pvalue=None, n_units=units, missing=reason
        )
    found = mixed_model_reduction(
        drifts.reference,
        drifts.comparison,
        strata=drifts.reference_first,
        confidence=plan.sampling.confidence,
    )
    return MixedModel(
        comparison=of.comparison,
        reduction=found.reduction,
        low=found.interval.low if found.interval else None,
        high=found.interval.high if found.interval else None,
        pvalue=found.pvalue,
        n_units=found.n_units,
        missing=found.missing,
    )
