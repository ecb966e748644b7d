"""Rank correlations of many measures with one outcome, tested together: which drift goes with it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.confidence import Interval, upper_level
from repdrift.core.errors import ShapeError
from repdrift.statistics.arrangements import Floats, Visited, finite, finite_table, stratum_labels, visited
from repdrift.statistics.correlation import fisher_interval, no_interval, unit_ranks
from repdrift.statistics.multiplicity import max_t_hits
from repdrift.statistics.pairings import least_pairing_pvalue
from repdrift.statistics.permutation import tie_slack

JOINT_LIMIT = 20_000
"""The most pairings of outcomes with runs that are visited. p = 0.05 is then known to 0.0015."""


@dataclass(frozen=True)
class OutcomeCorrelations:
    """Spearman correlations of M measures with one outcome, within strata; arrays are (M,).

    pvalue: two-sided, each measure by itself. adjusted: corrected over the measures (step-down max-T). intervals: None where there
    is none, for the reason `missing`. smallest_pvalue: the least p that any of these measures can have. n_permutations: pairings
    visited (all of them if `exact`). n_units: runs.
    """

    correlation: Floats
    pvalue: Floats
    adjusted: Floats
    intervals: tuple[Interval | None, ...]
    missing: tuple[str | None, ...]
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


def outcome_correlations(
    measures: ArrayLike,
    outcome: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    n_permutations: int = JOINT_LIMIT,
    seed: int = 0,
    confidence: float = 0.95,
) -> OutcomeCorrelations:
    """Correlate every measure with the outcome over runs, and correct over the measures.

    measures: (n, M), a row for each trained model; outcome: (n,). strata: a label for each run; ranks and pairings stay within them,
    and correlations of strata are averaged as in `rank_correlation`. The outcomes are paired otherwise with the runs, the
    same way for all measures, so that measures which move together pay little for one another. All pairings are visited if they
    are at most `n_permutations`, else as many random ones (at most 100,000), with p = (1 + hits) / (1 + draws).
    Exact where a measure is not related to the outcome; the corrected p hold if some are.
    Raises ShapeError for lists of unequal length or a stratum with one run, DegenerateInputError if a measure or the outcome is
    constant in a stratum, NonFiniteError, ConfigError if n_permutations < 1 or unless 0 < confidence < 1.
    Source: Spearman 1904; Westfall and Young 1993, algorithm 4.1.
    """
    upper = upper_level(confidence)
    table, values = finite_table(measures, "measures"), finite(outcome, "outcome")
    if len(table) != values.size:
        raise ShapeError(f"measures and outcome should list the same runs: got {len(table)} and {values.size}")
    labels = np.array(stratum_labels(strata, values.size, "run"))
    parts: list[tuple[Floats, Floats]] = []
    for label in dict.fromkeys(labels.tolist()):
        here = labels == label
        if here.sum() < 2:
            raise ShapeError(f"stratum {label!r} has one run; a correlation needs two")
        columns = [unit_ranks(column, f"measure {i}", label) for i, column in enumerate(table[here].T)]
        parts.append((np.column_stack(columns), unit_ranks(values[here], "outcome", label)))
    sizes = np.array([y.size for _, y in parts])
    weights = (sizes - 1) / (sizes - 1).sum()
    correlation = sum((w * (x.T @ y) for w, (x, y) in zip(weights, parts, strict=True)), np.zeros(table.shape[1]))
    visits = visited(math.prod(math.factorial(int(n)) for n in sizes), n_permutations)
    null = _null(parts, weights, visits, seed)
    slack = np.full(table.shape[1], tie_slack(1.0))
    hits = max_t_hits([np.abs(null)], np.abs(correlation), slack)
    least = min(
        least_pairing_pvalue([(x[:, i], y) for x, y in parts], weights, "two-sided") for i in range(table.shape[1])
    )
    reasons = tuple(no_interval(float(r), sizes) for r in correlation)
    return OutcomeCorrelations(
        correlation=correlation,
        pvalue=visits.pvalues(hits.alone),
        adjusted=visits.pvalues(hits.step_down),
        intervals=tuple(
            fisher_interval(float(r), sizes, upper) if why is None else None
            for r, why in zip(correlation, reasons, strict=True)
        ),
        missing=reasons,
        smallest_pvalue=visits.smallest_pvalue(least),
        exact=visits.exact,
        n_permutations=visits.count,
        n_units=values.size,
    )


def _null(parts: Sequence[tuple[Floats, Floats]], weights: Floats, visits: Visited, seed: int) -> Floats:
    """The correlations of all measures under other pairings, (pairings, M)."""
    if visits.exact:
        null = np.zeros((1, parts[0][0].shape[1]))
        for w, (x, y) in zip(weights, parts, strict=True):
            of_stratum = w * (np.array(list(permutations(y))) @ x)
            null = (null[:, None, :] + of_stratum[None, :, :]).reshape(-1, x.shape[1])
        return null
    generator = np.random.default_rng(seed)
    null = np.zeros((visits.count, parts[0][0].shape[1]))
    for w, (x, y) in zip(weights, parts, strict=True):
        null += w * (generator.permuted(np.tile(y, (visits.count, 1)), axis=1) @ x)
    return null
