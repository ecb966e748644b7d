"""Does the comparison method drift less? By the target? Tested over trained models, and said in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from repdrift.core.records.results import HypothesisTest, Reduction
from repdrift.drift.plan import DriftPlan
from repdrift.drift.verdicts import HYPOTHESES, Evidence, Hypothesis, Question, sentence, verdict
from repdrift.statistics import benjamini_hochberg, holm, label_permutation_test, reduction_lower_bound

ALL = "all"


@dataclass(frozen=True)
class Groups:
    """Drift of each trained model, with its task: (m,) of the reference, (k,) of the comparison method."""

    reference: np.ndarray
    comparison: np.ndarray
    reference_tasks: list[str]
    comparison_tasks: list[str]

    @property
    def strata(self) -> list[str]:
        """Tasks of the comparison's values, then of the reference's."""
        return [*self.comparison_tasks, *self.reference_tasks]


def reductions_and_tests(
    table: pd.DataFrame, plan: DriftPlan
) -> tuple[list[Reduction], list[HypothesisTest], list[str]]:
    """Reductions and tests for every task, for all tasks together, and for every layer over all tasks.

    Uses the final models (step 0) and the primary measure. Returns warnings as plain sentences too.
    """
    primary = table[(table["measure"] == plan.primary_measure) & (table["step"] == 0)]
    pairable, warnings = _pairable_tasks(primary, plan)
    layers = sorted(int(layer) for layer in primary["layer"].unique())
    reductions: list[Reduction] = []
    tests: list[HypothesisTest] = []
    per_model = primary.groupby(["task", "method", "seed"], sort=False)["drift"].mean().reset_index()
    for task in [t for t in plan.tasks if t in pairable]:
        here = per_model[per_model["task"] == task]
        reductions.append(_reduction(here, task, None, plan))
        tests += [_test(_groups(here, plan), name, task, plan) for name in HYPOTHESES]
        for layer in layers:
            of_layer = primary[(primary["layer"] == layer) & (primary["task"] == task)]
            reductions.append(_reduction(of_layer, task, layer, plan))
    if pairable:
        pooled = per_model[per_model["task"].isin(pairable)]
        reductions.append(_reduction(pooled, ALL, None, plan))
        tests += [_test(_groups(pooled, plan), name, ALL, plan) for name in HYPOTHESES]
        by_layer: dict[int, Groups] = {}
        for layer in layers:
            of_layer = primary[(primary["layer"] == layer) & primary["task"].isin(pairable)]
            reductions.append(_reduction(of_layer, ALL, layer, plan))
            by_layer[layer] = _groups(of_layer, plan)
        for name in HYPOTHESES:
            tests += _layer_tests(by_layer, name, plan)
    return reductions, tests, warnings


def _pairable_tasks(primary: pd.DataFrame, plan: DriftPlan) -> tuple[list[str], list[str]]:
    pairable, warnings = [], []
    for task in plan.tasks:
        here = primary[primary["task"] == task]
        counts = {
            m: int(here[here["method"] == m]["seed"].nunique()) for m in (plan.reference_method, plan.comparison_method)
        }
        absent = [method for method, count in counts.items() if count == 0]
        if absent:
            if len(here):
                warnings.append(f"Task {task} has no {absent[0]} run: it is left out of every comparison of methods.")
            continue
        if len(set(counts.values())) > 1:
            named = ", ".join(f"{count} of {method}" for method, count in counts.items())
            warnings.append(
                f"Task {task} has unequal numbers of trained models ({named}); the permutation test allows for that."
            )
        pairable.append(task)
    return pairable, warnings


def _groups(frame: pd.DataFrame, plan: DriftPlan) -> Groups:
    reference = frame[frame["method"] == plan.reference_method]
    comparison = frame[frame["method"] == plan.comparison_method]
    return Groups(
        reference["drift"].to_numpy(dtype=float),
        comparison["drift"].to_numpy(dtype=float),
        [str(t) for t in reference["task"]],
        [str(t) for t in comparison["task"]],
    )


def _task_mean(values: np.ndarray, tasks: Sequence[str]) -> float:
    """Mean over tasks of the mean over models, so that a task with more seeds does not count for more."""
    labels = np.array(tasks)
    return float(np.mean([values[labels == task].mean() for task in dict.fromkeys(tasks)]))


def _reduction(frame: pd.DataFrame, task: str, layer: int | None, plan: DriftPlan) -> Reduction:
    groups = _groups(frame, plan)
    reference = _task_mean(groups.reference, groups.reference_tasks)
    comparison = _task_mean(groups.comparison, groups.comparison_tasks)
    low = None
    if reference > 0:
        low = reduction_lower_bound(
            groups.reference,
            groups.comparison,
            strata=[*groups.reference_tasks, *groups.comparison_tasks],
            alpha=plan.alpha,
        )
    return Reduction(
        task=task,
        layer=layer,
        measure=plan.primary_measure,
        reduction=1 - comparison / reference if reference > 0 else None,
        reduction_low=low,
        reference_drift=reference,
        comparison_drift=comparison,
        reference_by_seed=_by_seed(frame, plan.reference_method),
        comparison_by_seed=_by_seed(frame, plan.comparison_method),
    )


def _by_seed(frame: pd.DataFrame, method: str) -> dict[str, float | None]:
    means = frame[frame["method"] == method].groupby("seed", sort=False)["drift"].mean()
    return {str(seed): float(value) for seed, value in means.items()}


def _evidence(groups: Groups, name: Hypothesis, plan: DriftPlan) -> Evidence:
    margin = plan.target_reduction if name == "reduction_exceeds_target" else 0.0
    scaled = (1 - margin) * groups.reference
    return Evidence(
        less=label_permutation_test(groups.comparison, scaled, strata=groups.strata, alternative="less"),
        more=label_permutation_test(groups.comparison, scaled, strata=groups.strata, alternative="greater"),
    )


def _test(groups: Groups, name: Hypothesis, task: str, plan: DriftPlan) -> HypothesisTest:
    return _record(groups, name, task, None, plan, _evidence(groups, name, plan))


def _layer_tests(by_layer: dict[int, Groups], name: Hypothesis, plan: DriftPlan) -> list[HypothesisTest]:
    """One test a layer over all tasks; verdicts rest on p corrected over the layers by Holm."""
    found = {layer: _evidence(groups, name, plan) for layer, groups in by_layer.items()}
    less, more = [e.less.pvalue for e in found.values()], [e.more.pvalue for e in found.values()]
    corrected = zip(found.items(), holm(less), holm(more), benjamini_hochberg(less), strict=True)
    return [
        _record(
            by_layer[layer],
            name,
            ALL,
            layer,
            plan,
            replace(evidence, layers=len(found), less_corrected=float(by_holm), more_corrected=float(opposite)),
            pvalue_bh=float(by_bh),
        )
        for (layer, evidence), by_holm, opposite, by_bh in corrected
    ]


def _record(
    groups: Groups,
    name: Hypothesis,
    task: str,
    layer: int | None,
    plan: DriftPlan,
    evidence: Evidence,
    pvalue_bh: float | None = None,
) -> HypothesisTest:
    where = ("over all tasks" if task == ALL else f"on {task}") + ("" if layer is None else f", layer {layer}")
    question = Question(
        hypothesis=name,
        where=where,
        reference_method=plan.reference_method,
        comparison_method=plan.comparison_method,
        reference_drift=_task_mean(groups.reference, groups.reference_tasks),
        comparison_drift=_task_mean(groups.comparison, groups.comparison_tasks),
        target_reduction=plan.target_reduction,
        alpha=plan.alpha,
    )
    return HypothesisTest(
        hypothesis=name,
        task=task,
        layer=layer,
        measure=plan.primary_measure,
        statistic=evidence.less.statistic,
        pvalue=evidence.less.pvalue,
        smallest_pvalue=evidence.less.smallest_pvalue,
        pvalue_holm=evidence.less_corrected,
        pvalue_bh=pvalue_bh,
        family=None if layer is None else f"{evidence.layers} layers, {name}",
        exact=evidence.less.exact,
        n_permutations=evidence.less.n_permutations,
        n_units=evidence.less.n_units,
        verdict=verdict(evidence, plan.alpha),
        sentence=sentence(question, evidence),
    )
