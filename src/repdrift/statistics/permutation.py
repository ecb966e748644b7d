"""Permutation of method labels over trained models: the exact test that a handful of seeds allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import NonFiniteError, ShapeError, UnknownNameError

Alternative = Literal["less", "greater", "two-sided"]
ALTERNATIVES: tuple[Alternative, ...] = ("less", "greater", "two-sided")
EXACT_LIMIT = 1_000_000
"""Up to so many arrangements all of them are visited: four tasks with 3 against 3 seeds have 20^4 = 160,000."""
_MONTE_CARLO_DRAWS = 100_000
_TIE = 1e-12


@dataclass(frozen=True)
class PermutationResult:
    """Outcome of a label permutation test.

    statistic: mean over strata of mean(a) - mean(b). smallest_pvalue: the least p that this design can give, whatever
    the data. n_permutations: arrangements visited (all of them if `exact`). n_units: values in the test.
    """

    statistic: float
    pvalue: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


def label_permutation_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "less",
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> PermutationResult:
    """Test whether `a` tends to be less (greater, other) than `b`, by permuting the labels within strata.

    a: (m,), b: (k,) values, one per trained model. strata: a label for each value of a, then of b (m + k of them), such
    as its task; None: one stratum. Exact if there are at most `n_permutations` arrangements; else as many random ones
    (at most 100,000), p = (1 + hits) / (1 + draws).
    Raises ShapeError if a stratum lacks one of the groups, NonFiniteError for NaN or Inf: nothing is dropped.
    """
    if alternative not in ALTERNATIVES:
        raise UnknownNameError.of("alternative", alternative, ALTERNATIVES)
    groups = _by_stratum(_finite(a, "a"), _finite(b, "b"), strata)
    statistic = float(np.mean([x.mean() - y.mean() for x, y in groups]))
    counts = [math.comb(x.size + y.size, x.size) for x, y in groups]
    total = math.prod(counts)
    exact = total <= n_permutations
    if exact:
        null = _every_arrangement(groups)
        hits = _hits(null, statistic, alternative, groups)
        pvalue = hits / total
        smallest = _smallest(groups, total, alternative)
        visited = total
    else:
        visited = min(n_permutations, _MONTE_CARLO_DRAWS)
        null = _random_arrangements(groups, visited, seed)
        pvalue = (1 + _hits(null, statistic, alternative, groups)) / (1 + visited)
        smallest = 1 / (1 + visited)
    units = sum(x.size + y.size for x, y in groups)
    return PermutationResult(statistic, min(1.0, pvalue), smallest, exact, visited, units)


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(f"{name} should be a list of at least one value, got shape {array.shape}")
    if not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array))[0])
        raise NonFiniteError(
            f"{name}[{place}] is {array[place]}: a missing run must be left out by the caller, by name"
        )
    return array


def _by_stratum(
    a: NDArray[np.float64], b: NDArray[np.float64], strata: Sequence[object] | None
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    if strata is None:
        return [(a, b)]
    labels = [str(label) for label in strata]
    if len(labels) != a.size + b.size:
        raise ShapeError(
            f"strata should label every value of a, then of b: expected {a.size + b.size}, got {len(labels)}"
        )
    of_a, of_b = np.array(labels[: a.size]), np.array(labels[a.size :])
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for label in dict.fromkeys(labels):
        in_a, in_b = a[of_a == label], b[of_b == label]
        if in_a.size == 0 or in_b.size == 0:
            raise ShapeError(f"stratum {label!r} has {in_a.size} values of a and {in_b.size} of b; it needs both")
        groups.append((in_a, in_b))
    return groups


def _differences(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """mean(a) - mean(b) of every way to label one stratum's values."""
    pooled = np.concatenate([x, y])
    chosen = np.array(list(combinations(range(pooled.size), x.size)), dtype=np.intp)
    sums = pooled[chosen].sum(axis=1)
    return sums / x.size - (pooled.sum() - sums) / y.size


def _every_arrangement(groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    null = np.zeros(1)
    for x, y in groups:
        null = (null[:, None] + _differences(x, y)[None, :]).ravel()
    return null / len(groups)


def _random_arrangements(
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]], draws: int, seed: int
) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    null = np.zeros(draws)
    for x, y in groups:
        pooled = np.tile(np.concatenate([x, y]), (draws, 1))
        shuffled = generator.permuted(pooled, axis=1)
        null += shuffled[:, : x.size].mean(axis=1) - shuffled[:, x.size :].mean(axis=1)
    return null / len(groups)


def _hits(
    null: NDArray[np.float64],
    statistic: float,
    alternative: Alternative,
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> int:
    # Arrangements that tie in exact arithmetic differ by rounding; a tie counts as a hit.
    slack = _TIE * max(float(np.abs(value).max()) for group in groups for value in group)
    if alternative == "less":
        return int(np.count_nonzero(null <= statistic + slack))
    if alternative == "greater":
        return int(np.count_nonzero(null >= statistic - slack))
    return int(np.count_nonzero(np.abs(null) >= abs(statistic) - slack))


def _smallest(
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]], total: int, alternative: Alternative
) -> float:
    mirrored = all(x.size == y.size for x, y in groups)
    return (2 if alternative == "two-sided" and mirrored else 1) / total


def smallest_reachable_pvalue(sizes: Sequence[tuple[int, int]]) -> float:
    """The least one-sided p of a design: `sizes` holds (values of a, values of b) of every stratum."""
    return 1 / math.prod(math.comb(m + k, m) for m, k in sizes)


def reduction_lower_bound(
    reference: ArrayLike,
    comparison: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alpha: float = 0.05,
    **options: Any,
) -> float | None:
    """One-sided lower confidence bound of the reduction R = 1 - comparison / reference, by inverting the test.

    The bound is the largest margin r for which "comparison is not below (1 - r) x reference" is rejected at `alpha`;
    strata label reference, then comparison. None if the design cannot reach alpha, or if even r = -10 (an eleven-fold
    increase) is not rejected.
    Assumes that the reduction is one factor for all models, as the test of each margin does.
    """
    ref, comp = _finite(reference, "reference"), _finite(comparison, "comparison")
    swapped = None if strata is None else [*strata[ref.size :], *strata[: ref.size]]

    def rejected(margin: float) -> bool:
        result = label_permutation_test(comp, (1 - margin) * ref, strata=swapped, alternative="less", **options)
        return result.pvalue <= alpha

    low, high = -10.0, 1.0
    if not rejected(low):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low
