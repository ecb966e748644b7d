"""Every way, or many random ways, to give the two labels to the values of each stratum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError

Floats = NDArray[np.float64]
Groups = list[tuple[Floats, Floats]]
"""For every stratum its values of a, (m,), and of b, (k,)."""

EXACT_LIMIT = 1_000_000
"""Up to so many arrangements all of them are visited: four tasks with 3 against 3 seeds have 20^4 = 160,000."""
MONTE_CARLO_LIMIT = 100_000
"""Random arrangements at most: p = 0.05 is then known to 0.0007."""
TABLE_LIMIT = 200_000
"""The same two limits for tables, which cost as much again for every column: four tasks with 3 against 3 stay exact."""


def finite(values: ArrayLike, name: str) -> Floats:
    """`values` as (m,) float64. Raises ShapeError unless it is a list of at least one, NonFiniteError for NaN or Inf."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(f"{name} should be a list of at least one value, got shape {array.shape}")
    if not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array))[0])
        raise NonFiniteError(
            f"{name}[{place}] is {array[place]}: a missing run must be left out by the caller, by name"
        )
    return array


def by_stratum(a: Floats, b: Floats, strata: Sequence[object] | None) -> Groups:
    """a (m,) and b (k,) split by `strata`, which labels a, then b. Raises ShapeError if a stratum lacks one of them."""
    if strata is None:
        return [(a, b)]
    labels = [str(label) for label in strata]
    if len(labels) != a.size + b.size:
        raise ShapeError(
            f"strata should label every value of a, then of b: expected {a.size + b.size}, got {len(labels)}"
        )
    of_a, of_b = np.array(labels[: a.size]), np.array(labels[a.size :])
    groups: Groups = []
    for label in dict.fromkeys(labels):
        in_a, in_b = a[of_a == label], b[of_b == label]
        if in_a.size == 0 or in_b.size == 0:
            raise ShapeError(f"stratum {label!r} has {in_a.size} values of a and {in_b.size} of b; it needs both")
        groups.append((in_a, in_b))
    return groups


def observed_difference(groups: Groups) -> float:
    """Mean over strata of mean(a) - mean(b)."""
    return float(np.mean([x.mean() - y.mean() for x, y in groups]))


def null_differences(groups: Groups, n_permutations: int, seed: int) -> tuple[Floats, bool]:
    """`observed_difference` under other labels: (arrangements,), and whether that is every arrangement.

    Which arrangements are visited, and in what order, depends on the group sizes and `seed` alone, not on the values.
    Raises ConfigError if n_permutations < 1.
    """
    if n_permutations < 1:
        raise ConfigError(f"n_permutations should be at least 1, got {n_permutations}")
    if math.prod(math.comb(x.size + y.size, x.size) for x, y in groups) <= n_permutations:
        null = np.zeros(1)
        for x, y in groups:
            null = (null[:, None] + _every_difference(x, y)[None, :]).ravel()
        return null / len(groups), True
    draws = min(n_permutations, MONTE_CARLO_LIMIT)
    generator = np.random.default_rng(seed)
    null = np.zeros(draws)
    for x, y in groups:
        shuffled = generator.permuted(np.tile(np.concatenate([x, y]), (draws, 1)), axis=1)
        null += shuffled[:, : x.size].mean(axis=1) - shuffled[:, x.size :].mean(axis=1)
    return null / len(groups), False


def label_arrangements(
    sizes: Sequence[tuple[int, int]], n_permutations: int, seed: int
) -> tuple[NDArray[np.bool_], bool]:
    """Which values count as a's under other labels: (arrangements, values), and whether that is every arrangement.

    sizes: (values of a, values of b) of every stratum; columns go stratum by stratum, a before b. For tables with one
    row per model, whose columns must all be rearranged alike. Arrangements and their order are those of
    `null_differences`.
    Raises ConfigError if n_permutations < 1.
    """
    if n_permutations < 1:
        raise ConfigError(f"n_permutations should be at least 1, got {n_permutations}")
    counts = [math.comb(m + k, m) for m, k in sizes]
    if math.prod(counts) <= n_permutations:
        rows = np.unravel_index(np.arange(math.prod(counts)), counts)
        every = [_every_labelling(m, k)[row] for (m, k), row in zip(sizes, rows, strict=True)]
        return np.concatenate(every, axis=1), True
    draws = min(n_permutations, MONTE_CARLO_LIMIT)
    generator = np.random.default_rng(seed)
    drawn: list[NDArray[np.bool_]] = []
    for m, k in sizes:
        order = generator.permuted(np.tile(np.arange(m + k), (draws, 1)), axis=1)
        drawn.append(_labelled(order[:, :m], m + k))
    return np.concatenate(drawn, axis=1), False


def label_contrasts(labels: NDArray[np.bool_], sizes: Sequence[tuple[int, int]]) -> Floats:
    """(arrangements, values) weights under which a sum of values is their `observed_difference` under these labels."""
    of_a = np.repeat([1 / m for m, _ in sizes], [m + k for m, k in sizes]) / len(sizes)
    of_b = np.repeat([1 / k for _, k in sizes], [m + k for m, k in sizes]) / len(sizes)
    return np.where(labels, of_a, -of_b)


def least_pvalue(sizes: Sequence[tuple[int, int]], *, two_sided: bool) -> float:
    """The least p that all arrangements of a design can give; `sizes` as in `label_arrangements`."""
    mirrored = two_sided and all(m == k for m, k in sizes)  # labels exchanged: the same size, the other sign
    return (2 if mirrored else 1) / math.prod(math.comb(m + k, m) for m, k in sizes)


def _every_labelling(m: int, k: int) -> NDArray[np.bool_]:
    return _labelled(np.array(list(combinations(range(m + k), m)), dtype=np.intp), m + k)


def _labelled(chosen: NDArray[np.intp], n: int) -> NDArray[np.bool_]:
    labels = np.zeros((chosen.shape[0], n), dtype=np.bool_)
    np.put_along_axis(labels, chosen, True, axis=1)
    return labels


def _every_difference(x: Floats, y: Floats) -> Floats:
    """mean(a) - mean(b) of every way to label one stratum's values."""
    pooled = np.concatenate([x, y])
    chosen = np.array(list(combinations(range(pooled.size), x.size)), dtype=np.intp)
    sums = pooled[chosen].sum(axis=1)
    return sums / x.size - (pooled.sum() - sums) / y.size
