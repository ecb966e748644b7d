"""Claims about the two methods: less, less by the target, alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from repdrift.core.records.results import ALL_TASKS, HypothesisTest, Interval, LayerCluster, PairedTest, Reduction
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.inference.method_drifts import MethodDrifts
from repdrift.drift.inference.verdicts import Corrected, Evidence, decided, digits, not_testable
from repdrift.statistics import (
    benjamini_hochberg,
    cluster_test,
    equivalence_test,
    holm,
    label_permutation_test,
    max_t_test,
    sign_flip_test,
)

Direction = Literal["comparison_drifts_less", "reduction_exceeds_target"]
DIRECTIONS: tuple[Direction, ...] = ("comparison_drifts_less", "reduction_exceeds_target")
Floats = NDArray[np.floating]


def directional_test(drifts: MethodDrifts, name: Direction, found: Reduction, plan: DriftPlan) -> HypothesisTest:
    """Whether the comparison method drifts less, or less by the target, on a task or over all."""
    return _record(drifts, name, found, plan, _evidence(drifts, name, plan), paired=_paired(drifts, name, plan))


def directional_tests_by_layer(
    by_layer: Mapping[int, tuple[MethodDrifts, Reduction]], name: Direction, plan: DriftPlan
) -> list[HypothesisTest]:
    """One test a layer over all tasks.

    Verdicts rest on p corrected over the layers: by the maximum over them under permuted labels (max-T), or, where
    methods have unequal numbers of models, by Holm on tests that allow for unequal spread.
    """
    found = {layer: _evidence(drifts, name, plan) for layer, (drifts, _) in by_layer.items()}
    less = [e.pvalue for e in found.values()]
    more = [e.opposite_pvalue if e.opposite_pvalue is not None else 1.0 for e in found.values()]
    by_holm, opposite_holm, by_bh = holm(less), holm(more), benjamini_hochberg(less)
    first = next(iter(by_layer.values()))[0]
    by_max = opposite_max = smallest_max = None
    if first.balanced:
        tables = _tables(by_layer, name, plan)
        of_all = max_t_test(*tables, strata=first.strata, alternative="less")
        by_max, smallest_max = of_all.step_down, of_all.smallest_pvalue
        opposite_max = max_t_test(*tables, strata=first.strata, alternative="greater").step_down
    tests: list[HypothesisTest] = []
    for i, (layer, evidence) in enumerate(found.items()):
        if by_max is not None and opposite_max is not None:
            # The smallest p of max-T is not that of one layer's test: it may draw arrangements where that visits all.
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
            family=f"{len(found)} layers, {name}",
        )
        drifts, of_layer = by_layer[layer]
        tests.append(_record(drifts, name, of_layer, plan, replace(evidence, corrected=corrected)))
    return tests


def layer_clusters(
    by_layer: Mapping[int, tuple[MethodDrifts, Reduction]], name: Direction, plan: DriftPlan
) -> list[LayerCluster]:
    """Runs of adjacent layers in which the comparison method drifts less; none where the design is too small for a cluster."""
    drifts = next(iter(by_layer.values()))[0]
    layers = list(by_layer)
    units = drifts.reference.size + drifts.comparison.size
    if len(layers) < 2 or not drifts.balanced or units - len(drifts.tasks) < 3:
        return []
    if name == "reduction_exceeds_target" and any(found.reduction is None for _, found in by_layer.values()):
        return []  # where the reference does not drift, its share turns the sign of the statistic
    found = cluster_test(*_tables(by_layer, name, plan), strata=drifts.strata, alternative="less")
    return [
        LayerCluster(
            hypothesis=name,
            first_layer=layers[c.start],
            last_layer=layers[c.stop - 1],
            mass=c.mass,
            threshold=found.threshold,
            pvalue=c.pvalue,
            smallest_pvalue=found.smallest_pvalue,
        )
        for c in found.clusters
    ]


def alike_test(drifts: MethodDrifts, found: Reduction, plan: DriftPlan) -> HypothesisTest | None:
    """Whether the methods' drifts lie within a factor of one another; None where the study asks for no such test.

    Not testable where a mean drift is not above 0: there is no ratio then.

    Two one-sided tests (TOST). Its opposite, that they lie further apart, is tested too: a claim that is not supported is
    not rejected by that.
    """
    margin = plan.equivalence_margin
    if margin is None:
        return None
    claim = f"the two lie within a factor of {margin:g}, either way,"
    if found.reduction is None or drifts.comparison_mean <= 0:
        reason = "a mean drift is not above 0, so that there is no ratio"
        units, name = drifts.reference.size + drifts.comparison.size, "methods_equivalent"
        test = "two one-sided label permutations"
        return not_testable(name, found, units, _found(found, drifts, plan), claim, reason, margin=margin, test=test)
    test = equivalence_test(drifts.comparison, drifts.reference, factor=margin, strata=drifts.strata)
    evidence = Evidence(
        statistic=test.ratio,
        pvalue=test.pvalue,
        opposite_pvalue=test.opposite_pvalue,
        smallest_pvalue=test.smallest_pvalue,
        exact=test.exact,
        n_permutations=test.n_permutations,
        n_units=test.n_units,
    )
    said = f"{plan.comparison_method} drifts {test.ratio:.3f} times as much as {plan.reference_method} {_where(found, drifts, plan)}"
    models = next((i for i in found.intervals if i.over == "models"), None)
    interval = None
    if models is not None:
        interval = Interval(over="models", low=1 - models.high, high=1 - models.low, method=models.method)
    return HypothesisTest(
        hypothesis="methods_equivalent",
        task=found.task,
        layer=found.layer,
        measure=found.measure,
        test="two one-sided label permutations",
        estimate=test.ratio,
        interval=interval,
        margin=margin,
        **decided(evidence, said, claim, plan.alpha),
    )


def _margin(name: Direction, plan: DriftPlan) -> float:
    return plan.target_reduction if name == "reduction_exceeds_target" else 0.0


def _evidence(drifts: MethodDrifts, name: Direction, plan: DriftPlan) -> Evidence:
    scaled = (1 - _margin(name, plan)) * drifts.reference
    less = label_permutation_test(drifts.comparison, scaled, strata=drifts.strata, alternative="less")
    more = label_permutation_test(drifts.comparison, scaled, strata=drifts.strata, alternative="greater")
    return Evidence(
        statistic=less.statistic,
        pvalue=less.pvalue,
        opposite_pvalue=more.pvalue,
        smallest_pvalue=less.smallest_pvalue,
        exact=less.exact,
        n_permutations=less.n_permutations,
        n_units=less.n_units,
    )


def _paired(drifts: MethodDrifts, name: Direction, plan: DriftPlan) -> PairedTest | None:
    scaled = replace(drifts, reference=(1 - _margin(name, plan)) * drifts.reference)
    pairs = scaled.paired_differences()
    if pairs is None:
        return None
    differences, tasks = pairs
    found = sign_flip_test(differences, strata=tasks, alternative="less")
    return PairedTest(pvalue=found.pvalue, smallest_pvalue=found.smallest_pvalue, n_pairs=found.n_units)


def _tables(
    by_layer: Mapping[int, tuple[MethodDrifts, Reduction]], name: Direction, plan: DriftPlan
) -> tuple[Floats, Floats]:
    scale = 1 - _margin(name, plan)
    comparison = np.column_stack([drifts.comparison for drifts, _ in by_layer.values()])
    reference = np.column_stack([drifts.reference for drifts, _ in by_layer.values()])
    return comparison, scale * reference


def _record(
    drifts: MethodDrifts,
    name: Direction,
    found: Reduction,
    plan: DriftPlan,
    evidence: Evidence,
    *,
    paired: PairedTest | None = None,
) -> HypothesisTest:
    margin = _margin(name, plan)
    test = f"{'studentised ' if drifts.studentised else ''}label permutation"
    if name == "reduction_exceeds_target" and found.reduction is None:
        reason = f"the mean drift of {plan.reference_method} is not above 0, and there is nothing to take a share of"
        claim = f"it drifts at least {100 * margin:g} % less"
        return not_testable(
            name, found, evidence.n_units, _found(found, drifts, plan), claim, reason, margin=margin, test=test
        )
    claim = "it drifts less" if name == "comparison_drifts_less" else f"it drifts at least {100 * margin:g} % less"
    return HypothesisTest(
        hypothesis=name,
        task=found.task,
        layer=found.layer,
        measure=found.measure,
        test=test,
        estimate=found.reduction,
        interval=_best_interval(found),
        margin=margin,
        paired=paired,
        **decided(evidence, _found(found, drifts, plan), claim, plan.alpha),
    )


def _best_interval(found: Reduction) -> Interval | None:
    """The interval that speaks of other models: over models and samples where it could be had, else over models."""
    by_source = {interval.over: interval for interval in found.intervals}
    return by_source.get("models and samples") or by_source.get("models")


def _where(found: Reduction, drifts: MethodDrifts, plan: DriftPlan) -> str:
    where = "over all tasks" if found.task == ALL_TASKS else f"on {found.task}"
    if found.task == ALL_TASKS and len(drifts.tasks) < len(plan.tasks):  # some have no models of both methods
        where = f"over {len(drifts.tasks)} of {len(plan.tasks)} tasks ({', '.join(drifts.tasks)})"
    return where if found.layer is None else f"{where}, layer {found.layer}"


def _found(found: Reduction, drifts: MethodDrifts, plan: DriftPlan) -> str:
    if found.reduction is None:
        change = "not comparable as a ratio"
    else:
        change = f"{100 * abs(found.reduction):.1f} % {'less' if found.reduction >= 0 else 'more'}"
        interval = _best_interval(found)
        if interval is not None:
            change += (
                f"; {100 * plan.sampling.confidence:g} % interval of the reduction {100 * interval.low:.1f} to "
                f"{100 * interval.high:.1f} %, over {interval.over}"
            )
    return (
        f"{plan.comparison_method} drifts {digits(drifts.comparison_mean)} against {digits(drifts.reference_mean)} of "
        f"{plan.reference_method} {_where(found, drifts, plan)} ({change})"
    )
