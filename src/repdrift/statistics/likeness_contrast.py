"""Are models of one label more alike than models of different labels? A permutation test over models, as in ANOSIM."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.arrangements import Visited, visited

_LIMIT = 20_000
"""Arrangements of labels that are all visited; else as many random ones."""
_ROUNDING = 1e-12
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class LikenessContrastResult:
    """within: mean likeness of pairs of one label. between: that of pairs of different labels. pvalue: one-sided, of within - between.

    smallest_pvalue: the least that this design can reach: labels that have as many models in every block can be exchanged whole, which changes
    nothing.
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


def likeness_contrast(
    likeness: ArrayLike, labels: Sequence[str], *, blocks: Sequence[Hashable] | None = None, seed: int = 0
) -> LikenessContrastResult:
    """Tests whether pairs of models with one label are more alike than other pairs, by permuting the labels of whole models.

    likeness: (m, m) symmetric; the diagonal is not looked at. labels: one for each model. blocks: what models share beside their label, such as a
    seed; labels are then permuted within blocks alone, and pairs of one block are not looked at, since they may be alike for that. The unit is
    the model: pairs that share one are not independent, and the test does not take them so.
    Raises ShapeError if these do not fit, NonFiniteError for a missing pair, DegenerateInputError if there are no pairs of one label, or none of different ones.
    Source: Clarke 1993 (ANOSIM), with means of likenesses in place of ranks.
    """
    values, m = np.array(likeness, dtype=np.float64), len(labels)
    if values.shape != (m, m) or (blocks is not None and len(blocks) != m):
        raise ShapeError(
            f"likeness of {m} models should be a table of {m} x {m} with a block each, got shape {values.shape}"
        )
    of_label = _numbered(labels)
    of_block = np.zeros(m, dtype=np.int64) if blocks is None else _numbered(blocks)
    looked_at = ~np.eye(m, dtype=bool) if blocks is None else of_block[:, None] != of_block[None, :]
    values[~looked_at] = 0.0
    if not np.isfinite(values).all():
        raise NonFiniteError("the likeness of two models is missing: leave a model out, by name")
    same = of_label[:, None] == of_label[None, :]
    n_within, n_between = int((looked_at & same).sum()) // 2, int((looked_at & ~same).sum()) // 2
    if not n_within or not n_between:
        raise DegenerateInputError("needs a pair of models of one label, and a pair of different labels")
    total = float(values.sum()) / 2

    def within(of: Numbers) -> float:
        return float(values[of[:, None] == of[None, :]].sum()) / 2

    observed = within(of_label)
    # The numbers of pairs are those of every arrangement, and between follows from within: the sum within alone decides.
    room = _ROUNDING * max(1.0, float(np.abs(values).sum()))
    places = [np.flatnonzero(of_block == block) for block in range(int(of_block.max()) + 1)]
    counts = Counter(tuple(int((of_label[at] == label).sum()) for at in places) for label in set(of_label.tolist()))
    alike = math.prod(math.factorial(labels_alike) for labels_alike in counts.values())
    if len(counts) == 1 and set(next(iter(counts))) == {1}:
        # Every label once in every block: to exchange labels whole changes nothing, so that the first block may stay as it is.
        places, alike = places[1:], 1
    arrangements = math.prod(_count(of_label[at]) for at in places)
    visits = visited(arrangements, _LIMIT)
    hits = sum(within(of) >= observed - room for of in _arranged(of_label, places, visits, seed))
    smallest = visits.smallest_pvalue(alike / arrangements)
    return LikenessContrastResult(
        observed / n_within,
        (total - observed) / n_between,
        max(smallest, float(visits.pvalues(hits))),
        smallest,
        visits.exact,
    )


def _numbered(names: Sequence[Hashable]) -> Numbers:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _count(labels: Numbers) -> int:
    """The number of different orders of these labels."""
    return math.factorial(labels.size) // math.prod(math.factorial(int(n)) for n in np.bincount(labels))


def _arranged(labels: Numbers, places: Sequence[Numbers], visits: Visited, seed: int) -> Iterator[Numbers]:
    arranged = labels.copy()
    if not visits.exact:
        generator = np.random.default_rng(seed)
        for _ in range(visits.count):
            for at in places:
                arranged[at] = generator.permutation(labels[at])
            yield arranged
        return
    for orders in product(*(list(_orders([int(label) for label in labels[at]])) for at in places)):
        for at, order in zip(places, orders, strict=True):
            arranged[at] = order
        yield arranged


def _orders(labels: list[int]) -> Iterator[list[int]]:
    """Every different order of the labels once."""
    if not labels:
        yield []
        return
    for label in sorted(set(labels)):
        rest = labels.copy()
        rest.remove(label)
        for order in _orders(rest):
            yield [label, *order]
