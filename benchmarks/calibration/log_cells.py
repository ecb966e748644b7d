"""Level E: the tests of log drift that the analysis quotes, and the bound that inverts them, also where one method spreads thrice as much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.calibration.cells import Cell
from benchmarks.calibration.layer_procedures import clusters, families
from benchmarks.calibration.model_cells import DESIGNS, NOISES, TASKS, Plan
from benchmarks.calibration.model_cells import simulate as simulate_models
from benchmarks.calibration.models import Floats, Study
from benchmarks.calibration.procedures import FACTOR, LOG_LABELS, MARGIN, Outcome, Procedure, Reported, pvalue, ratio
from repdrift.statistics import equivalence_test, label_permutation_test, reduction_lower_bound

LEVEL = "logs"


def _margin(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    options: dict[str, Any] = {"n_permutations": study.permutations, "seed": seed}
    less, more = (
        label_permutation_test(
            np.log(b[:, 0]), np.log((1 - MARGIN) * a[:, 0]), strata=study.swapped, alternative=side, **options
        ).pvalue
        for side in ("less", "greater")
    )
    low = reduction_lower_bound(a[:, 0], b[:, 0], strata=study.strata, logarithm=True, **options)
    return less, more, None if low is None else (low, np.inf)


def _equivalence(study: Study, a: Floats, b: Floats, seed: int) -> Outcome:
    options: dict[str, Any] = {"strata": study.swapped, "n_permutations": study.permutations, "seed": seed}
    return equivalence_test(b[:, 0], a[:, 0], factor=FACTOR, logarithm=True, **options).pvalue


MARGIN_TESTS = Procedure(
    (
        Reported("label_permutation_test of log drift, margin 20 %", label_test=True),
        Reported("label_permutation_test of log drift, margin 20 %, the opposite", label_test=True),
        Reported("reduction_lower_bound of log drift", "coverage, one-sided", lambda s: 1 - ratio(s)),
    ),
    _margin,
)
EQUIVALENCE = pvalue("equivalence_test of log drift, factor 1.25", _equivalence, label_test=True)


def _families(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    return families(study, np.log(a), np.log(b), seed)


def _cluster(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    return clusters(study, np.log(a), np.log(b), seed)


FAMILIES = Procedure(
    (
        Reported("max_t_test of log drift, single step: any false layer", label_test=True),
        Reported("max_t_test of log drift, step-down: any false layer", label_test=True),
        Reported("holm of log drift: any false layer"),
        Reported("benjamini_hochberg of log drift: share of false layers", is_share=True),
    ),
    _families,
)
CLUSTER = Procedure((Reported("cluster_test of log drift: any cluster", label_test=True),), _cluster)


def plans() -> list[Plan]:
    """Returns all plans of this level."""
    found: list[Plan] = []
    for models in DESIGNS:
        for tasks in TASKS:
            for noise in NOISES:
                found += _comparisons(models, tasks, noise)
    return found


def _comparisons(models: tuple[int, int], tasks: int, noise: dict) -> Iterator[Plan]:
    yield Plan(Study(models, tasks, centre="log", **noise), (LOG_LABELS,))
    yield Plan(Study(models, tasks, ratio=0.8, centre="log", **noise), (MARGIN_TESTS,))
    yield Plan(Study(models, tasks, ratio=1.25, centre="log", **noise), (EQUIVALENCE,))
    if models[0] == models[1]:  # unequal numbers are corrected by Holm, on studentised tests of single layers
        yield Plan(Study(models, tasks, layers=12, centre="log", **noise), (FAMILIES, CLUSTER), share=0.25)


def simulate(plan: Plan, simulations: int, seed: int) -> list[Cell]:
    """Simulate a plan; returns one cell for each number that its procedures report."""
    return [replace(cell, level=LEVEL) for cell in simulate_models(plan, simulations, seed)]
