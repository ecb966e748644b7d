"""Arrangements of two labels over the values of each stratum: all of them or many random ones; and checks of values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError

Floats = NDArray[np.float64]
Groups = list[tuple[Floats, Floats]]
"""The values of a, (m,), and of b, (k,), for every stratum."""

EXACT_LIMIT = 1_000_000
"""The most arrangements that are all visited. Four tasks with 3 against 3 seeds have 20^4 = 160,000."""
MONTE_CARLO_LIMIT = 100_000
"""The most random arrangements. p = 0.05 is then known to 0.0007."""
TABLE_LIMIT = 200_000
"""The limit of exact visits for tables, where every column costs as much again. Four tasks with 3 against 3 stay exact."""


@dataclass(frozen=True)
class Visited:
    """The arrangements that a test visits: every one of a design (`exact`), or `count` random ones."""

    count: int
    exact: bool

    def pvalues(self, hits: ArrayLike) -> Floats:
        """p-values from numbers of arrangements at least as extreme as what was observed; (1 + hits) / (1 + draws)."""
        extra = 0 if self.exact else 1
        return (np.asarray(hits, dtype=np.float64) + extra) / (self.count + extra)

    def smallest_pvalue(self, if_exact: float) -> float:
        """The least p that can come out. if_exact: the least p when all arrangements are visited, which random ones do not go below but by luck."""
        return if_exact if self.exact else max(if_exact, 1 / (1 + self.count))


def visited(total: int, limit: int, name: str = "n_permutations") -> Visited:
    """All of `total` arrangements if they are at most `limit`; else `limit` random ones, at most MONTE_CARLO_LIMIT.

    Raises ConfigError, which calls the limit by its `name`, if it is below 1.
    """
    if limit < 1:
        raise ConfigError(f"{name} should be at least 1, got {limit}")
    return Visited(total, exact=True) if total <= limit else Visited(min(limit, MONTE_CARLO_LIMIT), exact=False)


def finite(values: ArrayLike, name: str) -> Floats:
    """Returns `values` as (m,) float64. Raises ShapeError unless it is a list of at least one, NonFiniteError for NaN or Inf."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(f"{name} should be a list of at least one value, got shape {array.shape}")
    if not np.isfinite(array).all():
        index = int(np.flatnonzero(~np.isfinite(array))[0])
        raise NonFiniteError(
            f"{name}[{index}] is {array[index]}: a missing run must be left out by the caller, by name"
        )
    return array


def finite_table(values: ArrayLike, name: str) -> Floats:
    """Returns `values` as (rows, columns) float64. Raises ShapeError if there are none, NonFiniteError for NaN or Inf."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(f"{name} should be a table with at least one row and one column, got shape {array.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        row, column = (int(i) for i in bad[0])
        raise NonFiniteError(
            f"{name}[{row}, {column}] is {array[row, column]}: what is missing must be left out by the caller, by name"
        )
    return array


def not_above_zero(values: Floats, name: str) -> str | None:
    """The first of `values` (m,) that has no logarithm, as a sentence; None if all are above zero."""
    if (values > 0).all():
        return None
    index = int(np.flatnonzero(~(values > 0))[0])
    return f"{name}[{index}] is {values[index]:g}: a logarithm needs values above zero"


def stratum_labels(strata: Sequence[object] | None, count: int, of_what: str) -> list[str]:
    """Returns one label for each of `count` things. None puts all of them into one stratum.

    `of_what` names one of the things in the message. Raises ShapeError for another number of labels.
    """
    if strata is None:
        return ["all"] * count
    if len(strata) != count:
        raise ShapeError(f"strata should label every {of_what}: expected {count}, got {len(strata)}")
    return [str(label) for label in strata]


def by_stratum(a: Floats, b: Floats, strata: Sequence[object] | None) -> Groups:
    """Split a (m,) and b (k,) by `strata`, which labels a, then b. Raises ShapeError if a stratum lacks one of them."""
    if strata is None:
        return [(a, b)]
    labels = stratum_labels(strata, a.size + b.size, "value of a, then of b")
    of_a, of_b = np.array(labels[: a.size]), np.array(labels[a.size :])
    groups: Groups = []
    for label in dict.fromkeys(labels):
        in_a, in_b = a[of_a == label], b[of_b == label]
        if in_a.size == 0 or in_b.size == 0:
            raise ShapeError(f"stratum {label!r} has {in_a.size} values of a and {in_b.size} of b; it needs both")
        groups.append((in_a, in_b))
    return groups


def observed_difference(groups: Groups) -> float:
    """The mean over strata of mean(a) - mean(b)."""
    return float(np.mean([x.mean() - y.mean() for x, y in groups]))


def null_differences(groups: Groups, n_permutations: int, seed: int) -> tuple[Floats, Visited]:
    """The values of `observed_difference` under other labels, (arrangements,), and which arrangements these are.

    The arrangements visited, and their order, depend on the group sizes and `seed` alone, not on the values.
    Raises ConfigError if n_permutations < 1.
    """
    visits = visited(math.prod(math.comb(x.size + y.size, x.size) for x, y in groups), n_permutations)
    if visits.exact:
        null = np.zeros(1)
        for x, y in groups:
            null = (null[:, None] + _every_difference(x, y)[None, :]).ravel()
        return null / len(groups), visits
    generator = np.random.default_rng(seed)
    null = np.zeros(visits.count)
    for x, y in groups:
        shuffled = generator.permuted(np.tile(np.concatenate([x, y]), (visits.count, 1)), axis=1)
        null += shuffled[:, : x.size].mean(axis=1) - shuffled[:, x.size :].mean(axis=1)
    return null / len(groups), visits


def label_arrangements(
    sizes: Sequence[tuple[int, int]], n_permutations: int, seed: int
) -> tuple[NDArray[np.bool_], Visited]:
    """The values that count as a's under other labels, (arrangements, values), and which arrangements these are.

    sizes: (values of a, values of b) of every stratum; columns go stratum by stratum, a before b. Meant for tables with
    one row per model, whose columns must all be rearranged alike. The arrangements and their order are those of
    `null_differences`.
    Raises ConfigError if n_permutations < 1.
    """
    counts = [math.comb(m + k, m) for m, k in sizes]
    visits = visited(math.prod(counts), n_permutations)
    if visits.exact:
        chosen = np.unravel_index(np.arange(math.prod(counts)), counts)
        every = [_every_labelling(m, k)[index] for (m, k), index in zip(sizes, chosen, strict=True)]
        return np.concatenate(every, axis=1), visits
    generator = np.random.default_rng(seed)
    drawn: list[NDArray[np.bool_]] = []
    for m, k in sizes:
        order = generator.permuted(np.tile(np.arange(m + k), (visits.count, 1)), axis=1)
        drawn.append(_labelled(order[:, :m], m + k))
    return np.concatenate(drawn, axis=1), visits


def label_contrasts(labels: NDArray[np.bool_], sizes: Sequence[tuple[int, int]]) -> Floats:
    """Weights, (arrangements, values), whose products with the values are their `observed_difference` under these labels."""
    of_a = np.repeat([1 / m for m, _ in sizes], [m + k for m, k in sizes]) / len(sizes)
    of_b = np.repeat([1 / k for _, k in sizes], [m + k for m, k in sizes]) / len(sizes)
    return np.where(labels, of_a, -of_b)


def least_pvalue(sizes: Sequence[tuple[int, int]], *, two_sided: bool) -> float:
    """The least p that all arrangements of a design can give. sizes: (values of a, values of b) of every stratum."""
    mirrored = two_sided and all(m == k for m, k in sizes)  # labels exchanged: the same size, the other sign
    return (2 if mirrored else 1) / math.prod(math.comb(m + k, m) for m, k in sizes)


def _every_labelling(m: int, k: int) -> NDArray[np.bool_]:
    return _labelled(np.array(list(combinations(range(m + k), m)), dtype=np.intp), m + k)


def _labelled(chosen: NDArray[np.intp], n: int) -> NDArray[np.bool_]:
    labels = np.zeros((chosen.shape[0], n), dtype=np.bool_)
    np.put_along_axis(labels, chosen, True, axis=1)
    return labels


def _every_difference(x: Floats, y: Floats) -> Floats:
    """Returns mean(a) - mean(b) for every way to label one stratum's values."""
    pooled = np.concatenate([x, y])
    chosen = np.array(list(combinations(range(pooled.size), x.size)), dtype=np.intp)
    sums = pooled[chosen].sum(axis=1)
    return sums / x.size - (pooled.sum() - sums) / y.size
