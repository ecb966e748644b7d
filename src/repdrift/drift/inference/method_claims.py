"""Tests of the claims about two methods: one drifts less, less by the target, or both drift alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from repdrift.core.hypotheses import ALIKE, TARGET
from repdrift.core.records.claims import Hypothesis, HypothesisTest, Interval, LayerCluster, PairedTest, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.sites import RESID_POST
from repdrift.core.site_words import drift_number, is_in_block, site_title
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    percent_range,
    reduction_in_words,
    task_title,
    times,
)
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.inference.arm_families import Draft, about
from repdrift.drift.inference.dunnett_over_arms import LogDrifts
from repdrift.drift.inference.method_drifts import MethodDrifts
from repdrift.drift.inference.verdicts import Corrected, Evidence, Statement, not_testable
from repdrift.statistics import (
    benjamini_hochberg,
    cluster_test,
    equivalence_test,
    holm,
    label_permutation_test,
    max_t_test,
    sign_flip_test,
)

Floats = NDArray[np.floating]
_ALIKE_TEST = "two one-sided label permutations"
_SAME_REDUCTION = 0.02
"""Reductions of means and of geometric means that are nearer to one another are one number to a reader."""


@dataclass(frozen=True)
class LayerComparison:
    """The drifts of both methods in one layer, over all tasks, and the reduction there."""

    drifts: MethodDrifts
    reduction: Reduction


def directional_test(
    drifts: MethodDrifts, name: Hypothesis, found: Reduction, plan: DriftPlan
) -> Draft | HypothesisTest:
    """Test whether the comparison method drifts less, or less by the target, on one task or over all tasks.

    name: LESS or TARGET.
    """
    made = _record(drifts, name, found, plan, _evidence(drifts, name, plan), paired=_paired(drifts, name, plan))
    if not (isinstance(made, Draft) and drifts.logarithm):
        return made
    values = drifts.tested(_margin(name, plan))
    tasks = drifts.comparison_tasks, drifts.reference_tasks
    return replace(made, log_drifts=LogDrifts(values.comparison, tasks[0], values.reference, tasks[1]))


def directional_tests_by_layer(
    by_layer: Mapping[int, LayerComparison], name: Hypothesis, plan: DriftPlan, *, unit: str = "layer"
) -> list[Draft | HypothesisTest]:
    """Test LESS or TARGET in each layer, over all tasks. unit: what the comparisons are of, in one word, where not layers.

    Verdicts rest on p-values that are corrected over the layers: by max-T (the maximum over layers under permuted labels), or,
    where the methods have unequal numbers of models, by Holm on tests that allow for unequal spread.
    """
    found = {layer: _evidence(at.drifts, name, plan) for layer, at in by_layer.items()}
    less = [e.pvalue for e in found.values()]
    more = [e.opposite_pvalue if e.opposite_pvalue is not None else 1.0 for e in found.values()]
    by_holm, opposite_holm, by_bh = holm(less), holm(more), benjamini_hochberg(less)
    first = next(iter(by_layer.values())).drifts
    by_max = opposite_max = smallest_max = None
    if first.balanced:
        tables = _tables(by_layer, name, plan)
        of_all = max_t_test(*tables, strata=first.strata, alternative="less")
        by_max, smallest_max = of_all.step_down, of_all.smallest_pvalue
        opposite_max = max_t_test(*tables, strata=first.strata, alternative="greater").step_down
    tests: list[Draft | HypothesisTest] = []
    for i, (layer, evidence) in enumerate(found.items()):
        if by_max is not None and opposite_max is not None:
            # Max-T may draw arrangements where the test of one layer visits all, so their smallest p may differ.
            by, deciding, opposite, smallest = "max-T", by_max, opposite_max, smallest_max
        else:
            by, deciding, opposite = "Holm", by_holm, opposite_holm
            smallest = None if evidence.smallest_pvalue is None else min(1.0, evidence.smallest_pvalue * len(found))
        corrected = Corrected(
            by=by,
            pvalue=float(deciding[i]),
            opposite_pvalue=float(opposite[i]),
            smallest_pvalue=smallest,
            max_t=None if by_max is None else float(by_max[i]),
            holm=float(by_holm[i]),
            benjamini_hochberg=float(by_bh[i]),
            n_tests=len(found),
            family=f"{counted(len(found), unit)}, {name}",
            unit=unit,
        )
        at = by_layer[layer]
        tests.append(_record(at.drifts, name, at.reduction, plan, replace(evidence, corrected=corrected)))
    return tests


def layer_clusters(
    by_layer: Mapping[int, LayerComparison], name: Hypothesis, plan: DriftPlan
) -> list[LayerCluster] | None:
    """Find clusters of adjacent layers in which the comparison method drifts less.

    Returns None where they are not searched for: the design is small or unequal, or the claim has no meaning in some layer.
    """
    drifts = next(iter(by_layer.values())).drifts
    layers = list(by_layer)
    units = drifts.reference.size + drifts.comparison.size
    if drifts.untestable is not None or len(layers) < 2 or not drifts.balanced or units - len(drifts.tasks) < 3:
        return None
    if name == TARGET and any(at.reduction.reduction is None for at in by_layer.values()):
        return None  # where the reference does not drift, its share turns the sign of the statistic
    found = cluster_test(*_tables(by_layer, name, plan), strata=drifts.strata, alternative="less")
    return [
        LayerCluster(
            hypothesis=name,
            comparison=plan.comparison_method,
            first_layer=layers[c.start],
            last_layer=layers[c.stop - 1],
            mass=c.mass,
            threshold=found.threshold,
            pvalue=c.pvalue,
            smallest_pvalue=found.smallest_pvalue,
        )
        for c in found.clusters
    ]


def alike_test(drifts: MethodDrifts, found: Reduction, plan: DriftPlan) -> Draft | HypothesisTest | None:
    """Test whether the methods' drifts lie within a factor of one another (two one-sided tests, TOST).

    Returns None if the study asks for no such test. Not testable if a mean drift is not above 0, because there is no ratio
    then. The opposite claim, that the drifts lie further apart, has a test of its own: lack of support alone rejects nothing.
    """
    margin = plan.equivalence_margin
    if margin is None:
        return None
    claim = f"{plan.claim(ALIKE)} {_where(found, drifts, plan)}"
    if found.reduction is None or drifts.comparison_mean <= 0:
        reason = "a mean drift is not above 0, so there is no ratio"
        units, statement = (
            drifts.reference.size + drifts.comparison.size,
            Statement(claim, _numbers(found, drifts, plan)),
        )
        return not_testable(ALIKE, found, units, statement, reason, margin=margin, test=_ALIKE_TEST)
    test = equivalence_test(
        drifts.comparison, drifts.reference, factor=margin, strata=drifts.strata, logarithm=drifts.logarithm
    )
    evidence = Evidence(
        statistic=test.ratio,
        pvalue=test.pvalue,
        opposite_pvalue=test.opposite_pvalue,
        smallest_pvalue=test.smallest_pvalue,
        exact=test.exact,
        n_permutations=test.n_permutations,
        n_units=test.n_units,
        untestable=drifts.untestable,
    )
    comparison, reference = method_title(plan.comparison_method), method_title(plan.reference_method)
    numbers = f"{comparison} drifts {times(test.ratio)} times as much as {reference}{tested_on(found.reduction, drifts.geometric_reduction)}"
    models = next((i for i in found.intervals if i.over == "models"), None)
    interval = None
    if models is not None:
        interval = Interval(over="models", low=1 - models.high, high=1 - models.low, method=models.method)
    fields = {
        **about(ALIKE, found),
        "test": f"{_ALIKE_TEST} of {_scale(drifts)}",
        "estimate": test.ratio,
        "interval": interval,
        "margin": margin,
    }
    return Draft(fields, evidence, Statement(claim, numbers))


def _margin(name: Hypothesis, plan: DriftPlan) -> float:
    return plan.target_reduction if name == TARGET else 0.0


def _evidence(drifts: MethodDrifts, name: Hypothesis, plan: DriftPlan) -> Evidence:
    values = drifts.tested(_margin(name, plan))
    less, more = (
        label_permutation_test(values.comparison, values.reference, strata=drifts.strata, alternative=alternative)
        for alternative in ("less", "greater")
    )
    return Evidence(
        statistic=less.statistic,
        pvalue=less.pvalue,
        opposite_pvalue=more.pvalue,
        smallest_pvalue=less.smallest_pvalue,
        exact=less.exact,
        n_permutations=less.n_permutations,
        n_units=less.n_units,
        untestable=drifts.untestable,
    )


def _paired(drifts: MethodDrifts, name: Hypothesis, plan: DriftPlan) -> PairedTest | None:
    pairs = drifts.paired_differences(_margin(name, plan))
    if pairs is None or drifts.untestable is not None:
        return None
    found = sign_flip_test(pairs.differences, strata=pairs.tasks, alternative="less")
    return PairedTest(pvalue=found.pvalue, smallest_pvalue=found.smallest_pvalue, n_pairs=found.n_units)


def _tables(by_layer: Mapping[int, LayerComparison], name: Hypothesis, plan: DriftPlan) -> tuple[Floats, Floats]:
    values = [at.drifts.tested(_margin(name, plan)) for at in by_layer.values()]
    return np.column_stack([v.comparison for v in values]), np.column_stack([v.reference for v in values])


def _record(
    drifts: MethodDrifts,
    name: Hypothesis,
    found: Reduction,
    plan: DriftPlan,
    evidence: Evidence,
    *,
    paired: PairedTest | None = None,
) -> Draft | HypothesisTest:
    margin = _margin(name, plan)
    test = f"{'studentised ' if drifts.studentised else ''}label permutation of {_scale(drifts)}"
    statement = Statement(f"{plan.claim(name)} {_where(found, drifts, plan)}", _numbers(found, drifts, plan))
    if name == TARGET and found.reduction is None:
        reason = f"the mean drift of {method_title(plan.reference_method)} is not above 0, so there is nothing to take a share of"
        return not_testable(name, found, evidence.n_units, statement, reason, margin=margin, test=test)
    fields = {
        **about(name, found),
        "test": test,
        "estimate": found.reduction,
        "interval": _best_interval(found),
        "margin": margin,
        "paired": paired,
    }
    return Draft(fields, evidence, statement)


def _best_interval(found: Reduction) -> Interval | None:
    """Returns the interval that holds for other models: over models and samples if there is one, else over models."""
    by_source = {interval.over: interval for interval in found.intervals}
    return by_source.get("models and samples") or by_source.get("models")


def _where(found: Reduction, drifts: MethodDrifts, plan: DriftPlan) -> str:
    """Returns where and when: the models are final ones, unlike those of claims at equal skill."""
    where = "over all tasks" if found.task == ALL_TASKS else f"on {task_title(found.task)}"
    if found.task == ALL_TASKS and len(drifts.tasks) < len(plan.tasks):  # some have no models of both methods
        where = f"over {len(drifts.tasks)} of {len(plan.tasks)} tasks ({listed([task_title(t) for t in drifts.tasks])})"
    if found.site != RESID_POST:
        where = f"{where} in the {site_title(found.site)}"
    if found.layer is not None and is_in_block(found.site):
        where = f"{where} in layer {found.layer}"
    return f"{where} at the end of training"


def _numbers(found: Reduction, drifts: MethodDrifts, plan: DriftPlan) -> str:
    """Returns the reduction with its interval, then both mean drifts."""
    means = f"mean drift {drift_number(drifts.comparison_mean)} against {drift_number(drifts.reference_mean)}"
    if found.reduction is None:
        return f"{means}, not comparable as a ratio"
    less = reduction_in_words(found.reduction, method_title(plan.reference_method))
    interval = _best_interval(found)
    if interval is not None:
        less += (
            f" ({chosen_percent(plan.sampling.confidence)} interval of the reduction {percent_range(interval.low, interval.high)}, "
            f"over {interval.over})"
        )
    return f"{less}, {means}{tested_on(found.reduction, drifts.geometric_reduction)}"


def _scale(drifts: MethodDrifts) -> str:
    return "log drift" if drifts.logarithm else "drift"


def tested_on(reduction: float | None, factor: float | None) -> str:
    """Says what is tested where that is another number than the reduction: drift itself, or a factor by model that differs from it.

    factor: the reduction of geometric means; None where the test is of drift itself.
    """
    if factor is None:
        return "; tested on drift itself, not on its logarithm, since a drift is not above 0"
    if reduction is None or abs(factor - reduction) < _SAME_REDUCTION:
        return ""
    return f"; by the geometric mean over models and tasks, which is tested, {reduction_in_words(factor)}"
