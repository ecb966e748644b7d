"""Tests of a method's drift against two floors: the noise of extraction, and the drift between its own seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.hypotheses import ABOVE_NOISE, ABOVE_SEEDS
from repdrift.core.records.claims import Hypothesis, HypothesisTest
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import number, short_number
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.inference.method_drifts import layer_drifts
from repdrift.drift.inference.verdicts import Corrected, Evidence, Statement, decided
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
    """Test for each method whether its drift is more than the noise of extraction.

    Only tasks with a second extraction of the base model count. In each of them, every one of the m models and the second
    extraction takes the role of that extraction in turn, which gives m + 1 arrangements. The test is exact if trained models
    drift like one more extraction of the base model. Layers are corrected by max-T. (Flipping
    the signs of drift minus noise would treat the single second extraction, which all models of a task share, as a known number.)
    """
    tests: list[HypothesisTest] = []
    known = primary.dropna(subset=["noise_floor"])
    layers = sorted(int(layer) for layer in known["layer"].unique())
    for method in plan.methods:
        here = known[known["method"] == method]
        if here.empty:
            continue
        models = layer_drifts(here, method, layers)
        table, tasks = models.drifts, models.tasks
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
        found = _by_layer(by_layer, opposite, f"{ABOVE_NOISE}, {method}")
        for layer, of_layer in zip(layers, found, strict=True):
            evidence, of_rows = replace(of_layer, n_units=len(table)), here[here["layer"] == layer]
            tests.append(_identity_record(method, layer, evidence, of_layer.statistic, of_rows, plan))
    return tests


def above_seed_ceiling(primary: pd.DataFrame, distances: Distances, plan: DriftPlan) -> list[HypothesisTest]:
    """Test for each method whether the base model is farther from its models than they are from one another.

    Only tasks with two seeds or more count. distances: by task and method, then layer; drifts among base model (row 0) and
    final models. Every model takes the role of the base model in turn. The test is exact if base and trained models are
    exchangeable. Layers are corrected by max-T.
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
        found = _by_layer(by_layer, opposite, f"{ABOVE_SEEDS}, {method}")
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
    numbers = f"{short_number(abs(excess))} {'more' if excess >= 0 else 'less'} than that noise; " + (
        f"{above} of {len(known)} intervals over samples lie wholly above it"
        if len(known)
        else "there is no interval over samples to compare with it"
    )
    return _record(
        ABOVE_NOISE,
        method,
        layer,
        evidence,
        excess,
        numbers,
        plan,
        test="permutation of which is the second extraction",
    )


def _ceiling_record(
    method: str, layer: int | None, evidence: Evidence, by_task: Sequence[Floats], plan: DriftPlan
) -> HypothesisTest:
    to_base = float(np.mean([table[:, 0, 1:].mean() for table in by_task]))
    between = float(np.mean([table[:, 1:, 1:].sum() / (len(table) * _pairs(table)) for table in by_task]))
    numbers = f"mean drift {number(to_base)} from the base model and {number(between)} between seeds"
    return _record(
        ABOVE_SEEDS,
        method,
        layer,
        evidence,
        to_base - between,
        numbers,
        plan,
        test="permutation of which is the base model",
    )


def _pairs(table: Floats) -> int:
    m = table.shape[1] - 1
    return m * (m - 1)


def _record(
    hypothesis: Hypothesis,
    method: str,
    layer: int | None,
    evidence: Evidence,
    estimate: float,
    numbers: str,
    plan: DriftPlan,
    *,
    test: str,
) -> HypothesisTest:
    where = "on average over layers" if layer is None else f"in layer {layer}"
    statement = Statement(f"{plan.claim(hypothesis, method)} {where}", numbers)
    return HypothesisTest(
        hypothesis=hypothesis,
        task=ALL_TASKS,
        layer=layer,
        method=method,
        measure=plan.primary_measure,
        test=test,
        estimate=estimate,
        margin=0.0,
        **decided(evidence, statement, plan.alpha),
    )
