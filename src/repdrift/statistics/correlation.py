"""Correlations: of drift with score over runs, and of two layer profiles with each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from repdrift.core.confidence import Interval, upper_level
from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.statistics.arrangements import Floats, finite, stratum_labels, visited
from repdrift.statistics.intervals import normal_quantile
from repdrift.statistics.pairings import least_pairing_pvalue
from repdrift.statistics.permutation import Alternative, pvalue_of, require_alternative, tie_slack

PAIRING_LIMIT = 500_000
"""The most pairings that are all visited. 9 runs have 362,880; two tasks with 6 runs have 518,400, so they are drawn."""
LEAST_RUNS = 5
"""The fewest runs in a stratum that allow an interval. Its variance has n - 3 in it."""
_TIE = 1e-12


@dataclass(frozen=True)
class RankCorrelation:
    """A Spearman correlation over runs, its permutation test and its two-sided interval.

    correlation: -1 to 1; over strata, the mean weighted by runs - 1. smallest_pvalue: the least p that any pairing of
    these values can give (ties among them raise it). interval: None if there is none, for the reason `missing`.
    n_permutations: pairings visited (all of them if `exact`). n_units: runs.
    """

    correlation: float
    pvalue: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int
    interval: Interval | None
    missing: str | None = None


@dataclass(frozen=True)
class ProfileCorrelations:
    """Two correlations of layer profiles, -1 to 1: Pearson's (the same shape) and Spearman's (the same order)."""

    pearson: float
    spearman: float


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
    strata, so that a task with more drift and worse scores makes no correlation; strata of task and method also exclude
    differences between methods. The correlations of strata are averaged with weights runs - 1, the inverse of their
    variance if nothing is related. The test visits all pairings if they are at most `n_permutations`, else as many
    random ones (at most 100,000), with p = (1 + hits) / (1 + draws). Two-sided counts pairings with a correlation at
    least as large in size.

    The interval is Fisher's z with variance (1 + r^2 / 2) / (n - 3); with strata, as if all had one correlation. There
    is none if a stratum has fewer than 5 runs, or if |r| = 1. It is approximate below about 25 runs.
    Raises ShapeError for lists of unequal length or a stratum with one run, DegenerateInputError if either value is
    constant in a stratum, NonFiniteError, ConfigError if n_permutations < 1 or unless 0 < confidence < 1.
    Source: Spearman 1904; Bonett and Wright 2000. Departure: the variance for strata, by the delta method.
    """
    require_alternative(alternative)
    upper = upper_level(confidence)
    pairs = _ranked(finite(drift, "drift"), finite(score, "score"), strata)
    sizes = np.array([x.size for x, _ in pairs])
    weights = (sizes - 1) / (sizes - 1).sum()
    r = float(sum(w * float(x @ y) for w, (x, y) in zip(weights, pairs, strict=True)))
    visits = visited(math.prod(math.factorial(int(n)) for n in sizes), n_permutations)
    null = np.zeros(1 if visits.exact else visits.count)
    generator = np.random.default_rng(seed)
    for w, (x, y) in zip(weights, pairs, strict=True):
        if visits.exact:
            null = (null[:, None] + w * _every_correlation(x, y)).ravel()
        else:
            null += w * (generator.permuted(np.tile(y, (null.size, 1)), axis=1) @ x)
    missing = no_interval(r, sizes)
    return RankCorrelation(
        correlation=r,
        pvalue=pvalue_of(null, r, alternative, visits=visits, slack=tie_slack(1.0)),
        smallest_pvalue=visits.smallest_pvalue(least_pairing_pvalue(pairs, weights, alternative)),
        exact=visits.exact,
        n_permutations=visits.count,
        n_units=int(sizes.sum()),
        interval=fisher_interval(r, sizes, upper) if missing is None else None,
        missing=missing,
    )


def profile_correlations(a: ArrayLike, b: ArrayLike) -> ProfileCorrelations:
    """The correlations over layers of two tasks' profiles: whether the tasks move the same layers.

    a, b: (L,) mean drift by layer. Layers of one model are no independent units, so that there is neither p nor interval.
    Raises ShapeError for fewer than 3 layers or shapes that differ, DegenerateInputError for a constant profile,
    NonFiniteError.
    """
    first, second = finite(a, "a"), finite(b, "b")
    if first.size != second.size or first.size < 3:
        raise ShapeError(f"profiles should have the same layers, at least 3: a has {first.size}, b has {second.size}")
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise DegenerateInputError("a profile is constant over layers: its correlation is undefined")
    # In units of their sizes: squares of small drifts would underflow.
    x, y = first / np.abs(first).max(), second / np.abs(second).max()
    return ProfileCorrelations(
        pearson=float(np.corrcoef(x, y)[0, 1]),
        spearman=float(np.corrcoef(_ranks(first), _ranks(second))[0, 1]),
    )


def _ranked(drift: Floats, score: Floats, strata: Sequence[object] | None) -> list[tuple[Floats, Floats]]:
    """Ranks within each stratum, centred and of length 1, so that their product is Spearman's correlation."""
    if drift.size != score.size:
        raise ShapeError(f"drift and score should list the same runs: got {drift.size} and {score.size}")
    labels = stratum_labels(strata, drift.size, "run")
    pairs: list[tuple[Floats, Floats]] = []
    for label in dict.fromkeys(labels):
        here = np.array([other == label for other in labels])
        if here.sum() < 2:
            raise ShapeError(f"stratum {label!r} has {int(here.sum())} run; a correlation needs two")
        pairs.append((unit_ranks(drift[here], "drift", label), unit_ranks(score[here], "score", label)))
    return pairs


def unit_ranks(values: Floats, name: str, stratum: str) -> Floats:
    """The ranks of `values` (n,), centred and of length 1. Raises DegenerateInputError, with name and stratum, if all are equal."""
    if np.ptp(values) == 0:
        raise DegenerateInputError(f"{name} is constant in stratum {stratum!r}: its correlation is undefined")
    ranks = _ranks(values) - (values.size + 1) / 2
    return ranks / math.sqrt(float(ranks @ ranks))


def _ranks(values: Floats) -> Floats:
    return np.asarray(rankdata(values), dtype=np.float64)


def _every_correlation(x: Floats, y: Floats) -> Floats:
    """The products x @ y for all n! orders of y, value by value: (n!,)."""
    sums, left = np.zeros(1), np.ones((1, y.size), dtype=np.bool_)
    for value in x:
        order, column = np.nonzero(left)
        sums = sums[order] + value * y[column]
        left = left[order]
        left[np.arange(order.size), column] = False
    return sums


def no_interval(r: float, sizes: NDArray[np.int64]) -> str | None:
    """The reason why a correlation over strata of these sizes has no interval; None if it has one."""
    if sizes.min() < LEAST_RUNS:
        return f"an interval needs {LEAST_RUNS} runs in every stratum; one has {sizes.min()}"
    if abs(r) > 1 - _TIE:
        return "the order is the same, or reversed, without exception: Fisher's z is infinite"
    return None


def fisher_interval(r: float, sizes: NDArray[np.int64], upper: float) -> Interval:
    """The interval of a mean correlation over strata of these sizes, by Fisher's z. upper: the level of its upper end."""
    weights = (sizes - 1) / (sizes - 1).sum()
    error = math.sqrt((1 + r**2 / 2) * float((weights**2 / (sizes - 3)).sum()))
    reach = normal_quantile(upper) * error
    return Interval(math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach))
