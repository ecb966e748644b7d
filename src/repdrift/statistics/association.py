"""Whether models that drift more score less: a rank correlation over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError, DegenerateInputError, ShapeError
from repdrift.statistics.arrangements import MONTE_CARLO_LIMIT, Floats, finite
from repdrift.statistics.permutation import Alternative, pvalue_of, tie_slack
from repdrift.statistics.quantiles import normal_quantile, upper_level
from repdrift.statistics.ranks import mid_ranks
from repdrift.statistics.tables import known_alternative

PAIRING_LIMIT = 500_000
"""Up to so many pairings all are visited: 9 runs have 362,880, two tasks with 6 runs 518,400 (drawn)."""
LEAST_RUNS = 5
"""Runs in a stratum without which there is no interval: the variance has n - 3 in it."""
_TIE = 1e-12


@dataclass(frozen=True)
class RankCorrelation:
    """A Spearman correlation over runs, its permutation test and its two-sided interval.

    correlation: -1 to 1; over strata, the mean weighted by runs - 1. smallest_pvalue: the least p that any pairing of
    these values can give (ties among them raise it). low, high: None where there is no interval, for the reason
    `missing`. n_permutations: pairings visited (all of them if `exact`). n_units: runs.
    """

    correlation: float
    pvalue: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int
    low: float | None
    high: float | None
    confidence: float
    missing: str | None = None


def rank_correlation(
    drift: ArrayLike,
    score: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "two-sided",
    n_permutations: int = PAIRING_LIMIT,
    seed: int = 0,
    confidence: float = 0.95,
) -> RankCorrelation:
    """Spearman's correlation of drift and score over runs, tested by pairing them otherwise within strata.

    drift, score: (n,), one per trained model. strata: a label for each run; None: one stratum. Ranks are taken within
    strata, so that a task with more drift and worse scores makes no correlation; strata of task and method keep out
    what the methods differ in. The correlations of strata are averaged with weights runs - 1, the inverse of their
    variance when nothing is related. Exact if there are at most `n_permutations` pairings, else as many random ones (at
    most 100,000), p = (1 + hits) / (1 + draws). Two-sided counts pairings with a correlation at least as large in size.

    Interval: Fisher's z with variance (1 + r^2 / 2) / (n - 3); with strata, as if all had one correlation. None if a
    stratum has fewer than 5 runs, or if |r| = 1. Approximate below some 25 runs.
    Raises ShapeError for lists of unequal length or a stratum with one run, DegenerateInputError if either value is
    constant in a stratum, NonFiniteError, ConfigError if n_permutations < 1 or unless 0 < confidence < 1.
    Source: Spearman 1904; Bonett and Wright 2000. Departure: the variance for strata, by the delta method.
    """
    known_alternative(alternative)
    upper = upper_level(confidence)
    if n_permutations < 1:
        raise ConfigError(f"n_permutations should be at least 1, got {n_permutations}")
    pairs = _ranked(finite(drift, "drift"), finite(score, "score"), strata)
    sizes = np.array([x.size for x, _ in pairs])
    weights = (sizes - 1) / (sizes - 1).sum()
    r = float(sum(w * float(x @ y) for w, (x, y) in zip(weights, pairs, strict=True)))
    exact = math.prod(math.factorial(int(n)) for n in sizes) <= n_permutations
    null = np.zeros(1 if exact else min(n_permutations, MONTE_CARLO_LIMIT))
    generator = np.random.default_rng(seed)
    for w, (x, y) in zip(weights, pairs, strict=True):
        if exact:
            null = (null[:, None] + w * _every_correlation(x, y)).ravel()
        else:
            null += w * (generator.permuted(np.tile(y, (null.size, 1)), axis=1) @ x)
    best = float(
        np.abs(null).max() if alternative == "two-sided" else null.max() if alternative == "greater" else null.min()
    )
    low, high, missing = _fisher_interval(r, sizes, upper)
    return RankCorrelation(
        correlation=r,
        pvalue=pvalue_of(null, r, alternative, exact=exact, slack=tie_slack(1.0)),
        smallest_pvalue=pvalue_of(null, best, alternative, exact=True, slack=tie_slack(1.0))
        if exact
        else 1 / (1 + null.size),
        exact=exact,
        n_permutations=null.size,
        n_units=int(sizes.sum()),
        low=low,
        high=high,
        confidence=confidence,
        missing=missing,
    )


def _ranked(drift: Floats, score: Floats, strata: Sequence[object] | None) -> list[tuple[Floats, Floats]]:
    """Ranks within each stratum, centred and of length 1, so that their product is Spearman's correlation."""
    if drift.size != score.size:
        raise ShapeError(f"drift and score should list the same runs: got {drift.size} and {score.size}")
    labels = ["all"] * drift.size if strata is None else [str(label) for label in strata]
    if len(labels) != drift.size:
        raise ShapeError(f"strata should label every run: expected {drift.size}, got {len(labels)}")
    pairs: list[tuple[Floats, Floats]] = []
    for label in dict.fromkeys(labels):
        here = np.array([other == label for other in labels])
        if here.sum() < 2:
            raise ShapeError(f"stratum {label!r} has {int(here.sum())} run; a correlation needs two")
        units: list[Floats] = []
        for name, values in (("drift", drift[here]), ("score", score[here])):
            if np.ptp(values) == 0:
                raise DegenerateInputError(f"{name} is constant in stratum {label!r}: its correlation is undefined")
            ranks = mid_ranks(values[None])[0] - (values.size + 1) / 2
            units.append(ranks / math.sqrt(float(ranks @ ranks)))
        pairs.append((units[0], units[1]))
    return pairs


def _every_correlation(x: Floats, y: Floats) -> Floats:
    """x @ y for all n! orders of y, value by value: (n!,)."""
    sums, left = np.zeros(1), np.ones((1, y.size), dtype=np.bool_)
    for value in x:
        row, column = np.nonzero(left)
        sums = sums[row] + value * y[column]
        left = left[row]
        left[np.arange(row.size), column] = False
    return sums


def _fisher_interval(r: float, sizes: NDArray[np.int64], upper: float) -> tuple[float | None, float | None, str | None]:
    if sizes.min() < LEAST_RUNS:
        return None, None, f"an interval needs {LEAST_RUNS} runs in every stratum; one has {sizes.min()}"
    if abs(r) > 1 - _TIE:
        return None, None, "the order is the same, or reversed, without exception: Fisher's z is infinite"
    weights = (sizes - 1) / (sizes - 1).sum()
    error = math.sqrt((1 + r**2 / 2) * float((weights**2 / (sizes - 3)).sum()))
    reach = normal_quantile(upper) * error
    return math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach), None
