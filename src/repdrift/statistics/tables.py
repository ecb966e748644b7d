"""Two groups compared in every column of a table, with the models' labels rearranged alike in all columns.

A column is a layer, or a simulated study. One row is one trained model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.arrangements import Floats, by_stratum, label_arrangements, label_contrasts, least_pvalue
from repdrift.statistics.permutation import ALTERNATIVES, Alternative

_TIE = 1e-12
_CONSTANT = 1e-9
_BLOCK = 4_000_000
"""Numbers held at once: 32 MB."""


@dataclass(frozen=True)
class TableDifferences:
    """The differences of two groups by column, and what they are under every other arrangement of the labels.

    difference: (L,) mean over strata of mean(a) - mean(b). statistic: (L,) the same, standardised if that was asked
    for. slack: (L,) how far two statistics may lie apart and still tie. bound: what no |standardised statistic| of this
    design exceeds. exact: whether the `n_permutations` arrangements are all that there are. n_units: rows of both
    tables.
    """

    difference: Floats
    statistic: Floats
    slack: Floats
    bound: float
    exact: bool
    n_permutations: int
    n_units: int
    sizes: list[tuple[int, int]]
    _rows: Floats
    _labels: NDArray[np.bool_]

    def blocks(self, alternative: Alternative) -> Iterator[Floats]:
        """The statistics of all arrangements, (some, L) at a time, turned as by `turned`."""
        step = max(1, _BLOCK // max(self._rows.shape))
        for start in range(0, len(self._labels), step):
            yield turned(label_contrasts(self._labels[start : start + step], self.sizes) @ self._rows, alternative)

    def pvalues(self, alternative: Alternative) -> Floats:
        """(L,) p of every column by itself, as `label_permutation_test` gives it."""
        least = turned(self.statistic, alternative) - self.slack
        hits = np.zeros(least.size, dtype=np.int64)
        for block in self.blocks(alternative):
            hits += (block >= least).sum(axis=0)
        return self.shares(hits)

    def shares(self, hits: ArrayLike) -> Floats:
        """p-values from the numbers of arrangements at least as extreme as what was seen."""
        extra = 0 if self.exact else 1
        return (np.asarray(hits, dtype=np.float64) + extra) / (self.n_permutations + extra)

    def smallest_pvalue(self, alternative: Alternative) -> float:
        """The least p that this design can give, whatever the data."""
        if not self.exact:
            return 1 / (1 + self.n_permutations)
        return least_pvalue(self.sizes, two_sided=alternative == "two-sided")


def table_differences(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Sequence[object] | None,
    standardise: bool,
    n_permutations: int,
    seed: int,
) -> TableDifferences:
    """Compare a (m, L) with b (k, L), one row per trained model; strata label the rows of a, then of b.

    Standardised differences are divided by the standard deviation of the difference over all arrangements, which is
    known without visiting them: sqrt(sum over strata of S^2 (1/m + 1/k)) / strata, S^2 being the variance of the
    stratum's values whatever their label. A column whose values within strata differ by no more than a billionth of
    their size does not vary: its standardised difference is 0, so that every arrangement ties and p = 1.
    Raises ShapeError, NonFiniteError and ConfigError as `label_permutation_test`.
    """
    of_a, of_b = finite_table(a, "a"), finite_table(b, "b")
    if of_a.shape[1] != of_b.shape[1]:
        raise ShapeError(f"a and b should have the same columns (layers): a is {of_a.shape}, b is {of_b.shape}")
    m, k = of_a.shape[0], of_b.shape[0]
    groups = by_stratum(np.arange(m, dtype=np.float64), np.arange(m, m + k, dtype=np.float64), strata)
    sizes = [(x.size, y.size) for x, y in groups]
    labels, exact = label_arrangements(sizes, n_permutations, seed)
    pooled = np.concatenate([of_a, of_b])
    parts = [pooled[np.concatenate(group).astype(np.intp)] for group in groups]
    size = np.abs(pooled).max(axis=0)
    centred = [part - part.mean(axis=0) for part in parts]
    observed = np.concatenate([np.arange(m + k) < m for m, k in sizes])[None, :]
    rows = np.concatenate(
        centred
    )  # a contrast sums to nothing in each stratum: centring costs nothing and keeps digits
    difference = (label_contrasts(observed, sizes) @ rows)[0]
    slack = _TIE * size
    if standardise:
        spread = np.sqrt(
            sum(np.square(part).sum(axis=0) / (m + k - 1) * (1 / m + 1 / k) for part, (m, k) in zip(centred, sizes, strict=True))
        ) / len(sizes)  # fmt: skip
        varies = np.max([np.ptp(part, axis=0) for part in parts], axis=0) > _CONSTANT * size
        scale = np.where(varies, spread, 1.0)
        rows = np.where(varies, rows / scale, 0.0)
        slack = np.where(varies, slack / scale, 0.0)
    return TableDifferences(
        difference=difference,
        statistic=(label_contrasts(observed, sizes) @ rows)[0],
        slack=slack,
        bound=float(np.sqrt(m + k - len(sizes))),
        exact=exact,
        n_permutations=len(labels),
        n_units=m + k,
        sizes=sizes,
        _rows=rows,
        _labels=labels,
    )


def turned(statistic: Floats, alternative: Alternative) -> Floats:
    """The statistic turned so that more of it is more evidence: its negative, itself, or its size."""
    if alternative == "two-sided":
        return np.abs(statistic)
    return -statistic if alternative == "less" else statistic


def known_alternative(alternative: Alternative) -> None:
    """Raises UnknownNameError for an alternative that is none."""
    if alternative not in ALTERNATIVES:
        raise UnknownNameError.of("alternative", alternative, ALTERNATIVES)


def finite_table(values: ArrayLike, name: str) -> Floats:
    """`values` as (rows, columns) float64. Raises ShapeError if there are none, NonFiniteError for NaN or Inf."""
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
