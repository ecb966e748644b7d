"""Two groups compared in every column of a table, with the models' labels rearranged alike in all columns.

A column is a layer, or a simulated study. One row is one trained model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ShapeError
from repdrift.statistics.arrangements import (
    Floats,
    Visited,
    by_stratum,
    finite_table,
    label_arrangements,
    label_contrasts,
    least_pvalue,
)
from repdrift.statistics.permutation import Alternative, as_evidence

_TIE = 1e-12
_CONSTANT = 1e-9
_BLOCK = 4_000_000
"""Numbers held at once: 32 MB."""


@dataclass(frozen=True)
class ColumnDifferences:
    """The differences of two groups by column, with those under every visited arrangement of the labels.

    difference: (L,), the mean over strata of mean(a) - mean(b). statistic: (L,), the difference, standardised if that
    was asked for. slack: (L,), the largest distance at which two statistics still tie. bound: the largest |standardised
    statistic| that this design allows. visits: the arrangements visited. n_units: rows of both tables.
    """

    difference: Floats
    statistic: Floats
    slack: Floats
    bound: float
    visits: Visited
    n_units: int
    sizes: list[tuple[int, int]]
    _rows: Floats
    _labels: NDArray[np.bool_]

    def blocks(self, alternative: Alternative) -> Iterator[Floats]:
        """The statistics of all arrangements, (some, L) at a time; a larger one is more evidence."""
        step = max(1, _BLOCK // max(self._rows.shape))
        for start in range(0, len(self._labels), step):
            yield as_evidence(label_contrasts(self._labels[start : start + step], self.sizes) @ self._rows, alternative)

    def pvalues(self, alternative: Alternative) -> Floats:
        """The p of every column by itself, (L,), as `label_permutation_test` gives it."""
        least = as_evidence(self.statistic, alternative) - self.slack
        hits = np.zeros(least.size, dtype=np.int64)
        for block in self.blocks(alternative):
            hits += (block >= least).sum(axis=0)
        return self.visits.pvalues(hits)

    def smallest_pvalue(self, alternative: Alternative) -> float:
        """The least p that this design can give, whatever the data."""
        return self.visits.smallest_pvalue(least_pvalue(self.sizes, two_sided=alternative == "two-sided"))


def column_differences(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Sequence[object] | None,
    standardise: bool,
    n_permutations: int,
    seed: int,
) -> ColumnDifferences:
    """Compare a (m, L) with b (k, L), one row per trained model; strata label the rows of a, then of b.

    Standardised differences are divided by the standard deviation of the difference over all arrangements. It is known
    without visiting them: sqrt(sum over strata of S^2 (1/m + 1/k)) / strata, S^2 being the variance of the
    stratum's values whatever their label. A column whose values within strata differ by no more than a billionth of
    their size does not vary: its standardised difference is 0, so that every arrangement ties and p = 1.
    Raises ShapeError unless both tables have the same columns and each stratum has rows of both, NonFiniteError for NaN
    or Inf, ConfigError if n_permutations < 1.
    """
    of_a, of_b = finite_table(a, "a"), finite_table(b, "b")
    if of_a.shape[1] != of_b.shape[1]:
        raise ShapeError(f"a and b should have the same columns (layers): a is {of_a.shape}, b is {of_b.shape}")
    m, k = of_a.shape[0], of_b.shape[0]
    groups = by_stratum(np.arange(m, dtype=np.float64), np.arange(m, m + k, dtype=np.float64), strata)
    sizes = [(x.size, y.size) for x, y in groups]
    labels, visits = label_arrangements(sizes, n_permutations, seed)
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
    return ColumnDifferences(
        difference=difference,
        statistic=(label_contrasts(observed, sizes) @ rows)[0],
        slack=slack,
        bound=float(np.sqrt(m + k - len(sizes))),
        visits=visits,
        n_units=m + k,
        sizes=sizes,
        _rows=rows,
        _labels=labels,
    )
