"""Whether a method's drift is more than the noise of extraction, and more than what lies between two of its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.records.results import ALL_TASKS, Hypothesis, HypothesisTest
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.inference.method_drifts import layer_table
from repdrift.drift.inference.verdicts import Corrected, Evidence, decided, digits
from repdrift.statistics import (
    MaxTResult,
    base_distance_layers,
    base_distance_test,
    benjamini_hochberg,
    holm,
    label_permutation_test,
    max_t_test,
)

Floats = NDArray[np.floating]
Distances = Mapping[tuple[str, str], Mapping[int, Floats]]


def above_identity(primary: pd.DataFrame, plan: DriftPlan) -> list[HypothesisTest]:
    """For each method, over its tasks with a second extraction of the base model: drift beyond the noise of extraction.

    Exact if trained models drift like one more extraction of the base model: which of a task's m models and its second
    extraction is the latter is permuted, m + 1 arrangements a task. By layer corrected by max-T. (Flipping the signs of
    drift - noise would take the one second extraction, which all models of a task share, for a known number.)
    """
    tests: list[HypothesisTest] = []
    known = primary.dropna(subset=["noise_floor"])
    layers = sorted(int(layer) for layer in known["layer"].unique())
    for method in plan.methods:
        here = known[known["method"] == method]
        if here.empty:
            continue
        table, tasks = layer_table(here, method, layers)
        again = here.pivot_table(index="task", columns="layer", values="noise_floor", aggfunc="first", sort=False)
        noise = again.loc[list(dict.fromkeys(tasks)), layers].to_numpy(dtype=float)
        strata = [*tasks, *dict.fromkeys(tasks)]
        whole = (table.mean(axis=1), noise.mean(axis=1))
        more = label_permutation_test(*whole, strata=strata, alternative="greater", studentise=False)
        less = label_permutation_test(*whole, strata=strata, alternative="less", studentise=False)
        evidence = Evidence(
            statistic=more.statistic,
            pvalue=more.pvalue,
            opposite_pvalue=less.pvalue,
            smallest_pvalue=more.smallest_pvalue,
            exact=more.exact,
            n_permutations=more.n_permutations,
            n_units=len(table),
        )
        tests.append(_identity_record(method, None, evidence, more.statistic, here, plan))
        by_layer = max_t_test(table, noise, strata=strata, alternative="greater")
        opposite = max_t_test(table, noise, strata=strata, alternative="less")
        found = _by_layer(by_layer, opposite, f"drift_above_identity, {method}")
        for layer, of_layer in zip(layers, found, strict=True):
            evidence, of_rows = replace(of_layer, n_units=len(table)), here[here["layer"] == layer]
            tests.append(_identity_record(method, layer, evidence, of_layer.statistic, of_rows, plan))
    return tests


def above_seed_ceiling(primary: pd.DataFrame, distances: Distances, plan: DriftPlan) -> list[HypothesisTest]:
    """For each method, over its tasks with two seeds at least: whether the base model lies farther from the trained models than
    they do from one another.

    Exact if base and trained models were exchangeable: which of them is the base is permuted. By layer corrected by max-T.
    """
    tests: list[HypothesisTest] = []
    layers = sorted(int(layer) for layer in primary["layer"].unique())
    for method in plan.methods:
        by_task = [
            np.stack([distances[task, method][layer] for layer in layers])
            for task in plan.tasks
            if (task, method) in distances and set(layers) <= distances[task, method].keys()
        ]
        if not by_task:
            continue
        whole = base_distance_test([table.mean(axis=0) for table in by_task])
        nearer = base_distance_test([-table.mean(axis=0) for table in by_task])
        evidence = Evidence(
            statistic=whole.statistic,
            pvalue=whole.pvalue,
            opposite_pvalue=nearer.pvalue,
            smallest_pvalue=whole.smallest_pvalue,
            exact=whole.exact,
            n_permutations=whole.n_permutations,
            n_units=whole.n_units,
        )
        tests.append(_ceiling_record(method, None, evidence, by_task, plan))
        by_layer = base_distance_layers(by_task)
        opposite = base_distance_layers([-table for table in by_task])
        found = _by_layer(by_layer, opposite, f"drift_above_seed_ceiling, {method}")
        for i, (layer, of_layer) in enumerate(zip(layers, found, strict=True)):
            tests.append(_ceiling_record(method, layer, of_layer, [table[[i]] for table in by_task], plan))
    return tests


def _by_layer(found: MaxTResult, opposite: MaxTResult, family: str) -> list[Evidence]:
    by_holm, by_bh = holm(found.pvalue), benjamini_hochberg(found.pvalue)
    return [
        Evidence(
            statistic=float(found.difference[i]),
            pvalue=float(found.pvalue[i]),
            opposite_pvalue=float(opposite.pvalue[i]),
            smallest_pvalue=found.smallest_pvalue,
            exact=found.exact,
            n_permutations=found.n_permutations,
            n_units=found.n_units,
            corrected=Corrected(
                by="max-T",
                pvalue=float(found.step_down[i]),
                opposite_pvalue=float(opposite.step_down[i]),
                smallest_pvalue=found.smallest_pvalue,
                max_t=float(found.step_down[i]),
                holm=float(by_holm[i]),
                benjamini_hochberg=float(by_bh[i]),
                n_tests=found.pvalue.size,
                family=f"{found.pvalue.size} layers, {family}",
            ),
        )
        for i in range(found.pvalue.size)
    ]


def _identity_record(
    method: str, layer: int | None, evidence: Evidence, excess: float, rows: pd.DataFrame, plan: DriftPlan
) -> HypothesisTest:
    known = rows.dropna(subset=["drift_low"])  # a drift without an interval is not one whose interval reaches the noise
    above = int((known["drift_low"] > known["noise_floor"]).sum())
    where = "averaged over layers" if layer is None else f"in layer {layer}"
    more = "more" if excess >= 0 else "less"
    found = f"{method} drifts {abs(excess):.2g} {more} than the noise of extraction, {where}; " + (
        f"{above} of {len(known)} intervals over samples lie wholly above that noise"
        if len(known)
        else "there is no interval over samples to set beside it"
    )
    return _record(
        "drift_above_identity", method, layer, evidence, excess, found, "its drift is more than that noise", plan,
        test="permutation of which is the second extraction",
    )  # fmt: skip


def _ceiling_record(
    method: str, layer: int | None, evidence: Evidence, by_task: Sequence[Floats], plan: DriftPlan
) -> HypothesisTest:
    to_base = float(np.mean([table[:, 0, 1:].mean() for table in by_task]))
    between = float(np.mean([table[:, 1:, 1:].sum() / (len(table) * _pairs(table)) for table in by_task]))
    where = "averaged over layers" if layer is None else f"in layer {layer}"
    found = f"{method} drifts {digits(to_base)} from the base model, and its seeds {digits(between)} from one another, {where}"
    claim = "the base model is farther from the trained models than they are from one another"
    return _record(
        "drift_above_seed_ceiling", method, layer, evidence, to_base - between, found, claim, plan,
        test="permutation of who is the base",
    )  # fmt: skip


def _pairs(table: Floats) -> int:
    m = table.shape[1] - 1
    return m * (m - 1)


def _record(
    hypothesis: Hypothesis,
    method: str,
    layer: int | None,
    evidence: Evidence,
    estimate: float,
    found: str,
    claim: str,
    plan: DriftPlan,
    *,
    test: str,
) -> HypothesisTest:
    return HypothesisTest(
        hypothesis=hypothesis,
        task=ALL_TASKS,
        layer=layer,
        method=method,
        measure=plan.primary_measure,
        test=test,
        estimate=estimate,
        margin=0.0,
        **decided(evidence, found, claim, plan.alpha),
    )
