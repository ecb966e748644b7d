"""Are models of one label more alike than models of different labels? A permutation test over models, as in ANOSIM."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.arrangements import Visited, visited

_LIMIT = 20_000
"""Arrangements of labels that are all visited; else as many random ones."""
_ROUNDING = 1e-12


@dataclass(frozen=True)
class LikenessContrastResult:
    """within: mean likeness of pairs of one label. between: that of pairs of different labels. pvalue: one-sided, of within - between.

    smallest_pvalue: the least that so many models of each label can reach: labels with as many models as each other can be exchanged
    whole, which changes nothing.
    """

    within: float
    between: float
    pvalue: float
    smallest_pvalue: float
    exact: bool

    @property
    def difference(self) -> float:
        """within - between."""
        return self.within - self.between


def likeness_contrast(likeness: ArrayLike, labels: Sequence[str], *, seed: int = 0) -> LikenessContrastResult:
    """Tests whether pairs of models with one label are more alike than other pairs, by permuting the labels of whole models.

    likeness: (m, m) symmetric; the diagonal is not looked at. labels: one for each model. The unit is the model: pairs that share one are not
    independent, and the test does not take them so.
    Raises ShapeError if the two do not fit, NonFiniteError for a missing pair, DegenerateInputError if no two models have one label, or all have.
    Source: Clarke 1993 (ANOSIM), with means of likenesses in place of ranks.
    """
    values = np.array(likeness, dtype=np.float64)
    m = len(labels)
    if values.shape != (m, m):
        raise ShapeError(f"likeness of {m} models should be a table of {m} x {m}, got shape {values.shape}")
    np.fill_diagonal(values, 0.0)
    if not np.isfinite(values).all():
        raise NonFiniteError("the likeness of two models is missing: leave a model out, by name")
    sizes = Counter(labels)
    if len(sizes) < 2 or max(sizes.values()) < 2:
        raise DegenerateInputError("needs two labels, and two models of one of them")
    kinds = {label: number for number, label in enumerate(sizes)}
    numbers = np.array([kinds[label] for label in labels])
    n_within = sum(math.comb(size, 2) for size in sizes.values())
    n_between = math.comb(m, 2) - n_within
    total = values.sum() / 2

    def within(of: NDArray[np.int64]) -> float:
        return float(values[of[:, None] == of[None, :]].sum() / 2)

    observed = within(numbers)
    # Between follows from within, and the numbers of pairs are those of every arrangement: the sum within alone decides.
    room = _ROUNDING * max(1.0, float(np.abs(values).sum()))
    arrangements = math.factorial(m) // math.prod(math.factorial(size) for size in sizes.values())
    visits = visited(arrangements, _LIMIT)
    hits = sum(within(of) >= observed - room for of in _arranged(numbers, visits, seed))
    alike = math.prod(math.factorial(count) for count in Counter(sizes.values()).values())
    return LikenessContrastResult(
        observed / n_within,
        (total - observed) / n_between,
        float(visits.pvalues(hits)),
        visits.smallest_pvalue(alike / arrangements),
        visits.exact,
    )


def _arranged(numbers: NDArray[np.int64], visits: Visited, seed: int) -> Iterator[NDArray[np.int64]]:
    if not visits.exact:
        generator = np.random.default_rng(seed)
        for _ in range(visits.count):
            yield generator.permutation(numbers)
        return
    left = Counter(int(number) for number in numbers)
    chosen: list[int] = []

    def extend() -> Iterator[NDArray[np.int64]]:
        if len(chosen) == numbers.size:
            yield np.array(chosen)
            return
        for number in left:
            if left[number]:
                left[number] -= 1
                chosen.append(number)
                yield from extend()
                chosen.pop()
                left[number] += 1

    yield from extend()
