"""Does the comparison method drift less? By the target? Tested over trained models, and said in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from repdrift.core.records.results import HypothesisTest, Reduction
from repdrift.drift.plan import DriftPlan
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

    @property
    def testable(self) -> bool:
        """Whether every task has both methods."""
        return bool(self.reference.size and self.comparison.size) and set(self.reference_tasks) == set(
            self.comparison_tasks
        )


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
        tests += _tests(here, task, None, plan)
        for layer in layers:
            of_layer = primary[(primary["layer"] == layer) & (primary["task"] == task)]
            reductions.append(_reduction(of_layer, task, layer, plan, bound=False))
    if pairable:
        pooled = per_model[per_model["task"].isin(pairable)]
        reductions.append(_reduction(pooled, ALL, None, plan))
        tests += _tests(pooled, ALL, None, plan)
        by_layer: list[HypothesisTest] = []
        for layer in layers:
            of_layer = primary[(primary["layer"] == layer) & primary["task"].isin(pairable)]
            reductions.append(_reduction(of_layer, ALL, layer, plan))
            by_layer += _tests(of_layer, ALL, layer, plan)
        tests += _corrected(by_layer)
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


def _reduction(frame: pd.DataFrame, task: str, layer: int | None, plan: DriftPlan, *, bound: bool = True) -> Reduction:
    groups = _groups(frame, plan)
    reference = _task_mean(groups.reference, groups.reference_tasks)
    comparison = _task_mean(groups.comparison, groups.comparison_tasks)
    low = None
    if bound and reference > 0:
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


def _tests(frame: pd.DataFrame, task: str, layer: int | None, plan: DriftPlan) -> list[HypothesisTest]:
    groups = _groups(frame, plan)
    make: Callable[..., HypothesisTest] = lambda name, margin: _test(groups, name, margin, task, layer, plan)  # noqa: E731
    return [make("comparison_drifts_less", 0.0), make("reduction_exceeds_target", plan.target_reduction)]


def _test(groups: Groups, name: str, margin: float, task: str, layer: int | None, plan: DriftPlan) -> HypothesisTest:
    scaled = (1 - margin) * groups.reference
    less = label_permutation_test(groups.comparison, scaled, strata=groups.strata, alternative="less")
    more = label_permutation_test(groups.comparison, scaled, strata=groups.strata, alternative="greater")
    if less.smallest_pvalue >= 0.5:
        verdict = "not testable"
    elif less.pvalue <= plan.alpha:
        verdict = "supported"
    elif more.pvalue <= plan.alpha:
        verdict = "rejected"
    else:
        verdict = "undecided"
    return HypothesisTest(
        hypothesis=name,  # pyright: ignore[reportArgumentType]
        task=task,
        layer=layer,
        measure=plan.primary_measure,
        statistic=less.statistic,
        pvalue=less.pvalue,
        smallest_pvalue=less.smallest_pvalue,
        exact=less.exact,
        n_permutations=less.n_permutations,
        n_units=less.n_units,
        verdict=verdict,
        sentence=_sentence(
            groups, name, margin, task, layer, plan, verdict, less.pvalue, less.smallest_pvalue, less.n_units
        ),
    )


def _sentence(
    groups: Groups, name: str, margin: float, task: str, layer: int | None, plan: DriftPlan,
    verdict: str, pvalue: float, smallest: float, units: int,
) -> str:  # fmt: skip
    reference = _task_mean(groups.reference, groups.reference_tasks)
    comparison = _task_mean(groups.comparison, groups.comparison_tasks)
    where = ("over all tasks" if task == ALL else f"on {task}") + ("" if layer is None else f", layer {layer}")
    change = f"{100 * (1 - comparison / reference):.1f} % less" if reference > 0 else "not comparable as a ratio"
    found = f"{plan.comparison_method} drifts {comparison:.4f} against {reference:.4f} of {plan.reference_method} {where} ({change})"
    claim = "drifts less" if name == "comparison_drifts_less" else f"drifts at least {100 * margin:.0f} % less"
    outcome = {
        "supported": f"That it {claim} is supported (p = {pvalue:.3g})",
        "rejected": f"That it {claim} is contradicted by these models (p = {pvalue:.3g})",
        "undecided": f"Whether it {claim} is undecided (p = {pvalue:.3g})",
        "not testable": f"Whether it {claim} cannot be tested with {units} trained models",
    }[verdict]
    limit = (
        f"; with {units} trained models no result could have reached {plan.alpha:g}, the smallest possible p is {smallest:.3g}"
        if smallest > plan.alpha and verdict != "not testable"
        else f"; smallest p that this design can reach: {smallest:.2g}"
    )
    return f"{found}. {outcome}{limit}."


def _corrected(tests: list[HypothesisTest]) -> list[HypothesisTest]:
    """Holm and Benjamini-Hochberg over the layers, for each hypothesis by itself."""
    corrected: list[HypothesisTest] = []
    for name in ("comparison_drifts_less", "reduction_exceeds_target"):
        family = [test for test in tests if test.hypothesis == name]
        pvalues = [test.pvalue for test in family if test.pvalue is not None]
        if not family:
            continue
        for test, by_holm, by_bh in zip(family, holm(pvalues), benjamini_hochberg(pvalues), strict=True):
            corrected.append(
                test.model_copy(
                    update={
                        "pvalue_holm": float(by_holm),
                        "pvalue_bh": float(by_bh),
                        "family": f"{len(family)} layers, {name}",
                    }
                )
            )
    return corrected
