"""Representational similarity analysis: the two sides' dissimilarities of all pairs of samples, correlated.

What a measure is invariant to follows from its dissimilarity. Euclidean distances do not see rotation and translation of
the features. Correlation over features subtracts each sample's mean feature, a direction that a rotation turns away from,
and is changed by moving single features; it sees neither their order nor a scale that all share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.dissimilarity import (
    Dissimilarity,
    correlation_chords,
    euclidean_distances,
    reordered_pairs,
)
from repdrift.similarity.geometry.rank_order import RankOrder, kendall_tau_b, rank_order
from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Measure,
)
from repdrift.similarity.representation import Representation

CORRELATION_INVARIANCES = frozenset({ISOTROPIC_SCALING, FEATURE_PERMUTATION})
EUCLIDEAN_INVARIANCES = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})

_PIECE = 1 << 16
"""Pairs of samples per product, when many sides are compared with many."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Numbers of all pairs of n samples, centred and scaled to length 1: (n(n-1)/2,)."""

    unit: Tensor
    n: int

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.unit.device

    def permuted(self, order: Tensor) -> Pattern:
        """The same with its samples in another order."""
        return Pattern(reordered_pairs(self.unit, self.n, order), self.n)


@dataclass(frozen=True, eq=False)
class PairOrder:
    """Order of the dissimilarities of all pairs of n samples."""

    order: RankOrder
    n: int

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.order.groups.device

    def permuted(self, order: Tensor) -> PairOrder:
        """The same with its samples in another order."""
        return PairOrder(RankOrder(reordered_pairs(self.order.groups, self.n, order)), self.n)


class PatternRsa(Measure):
    """Pearson's correlation of two patterns; of ranks it is Spearman's. As 1 - |u - v|^2 / 2: exactly 1 for equal sides."""

    bounds = (-1.0, 1.0)
    streaming = "needs distances between all samples"

    def compare(self, x: Pattern, y: Pattern) -> float:
        """The correlation of two patterns."""
        require_paired(x.n, y.n)
        return 1 - float((x.unit - y.unit).square().sum()) / 2

    def compare_all(self, xs: Sequence[Pattern], ys: Sequence[Pattern]) -> NDArray[np.float64]:
        """The correlation of every two patterns, as products of piece after piece of all of them."""
        if not xs or not ys:
            return np.empty((len(xs), len(ys)))
        for side in (*xs, *ys):
            require_paired(xs[0].n, side.n)
        total = xs[0].unit.new_zeros((len(xs), len(ys)))
        for start in range(0, xs[0].unit.shape[0], _PIECE):
            part = slice(start, start + _PIECE)
            total += torch.stack([x.unit[part] for x in xs]) @ torch.stack([y.unit[part] for y in ys]).T
        return total.cpu().numpy()


class KendallRsa(Measure):
    """Kendall's tau-b of two orders of pairs: tied pairs count for neither side."""

    bounds = (-1.0, 1.0)
    streaming = "needs distances between all samples"

    def compare(self, x: PairOrder, y: PairOrder) -> float:
        """Tau-b of two orders."""
        require_paired(x.n, y.n)
        return kendall_tau_b(x.order, y.order)

    def compare_all(self, xs: Sequence[PairOrder], ys: Sequence[PairOrder]) -> NDArray[np.float64]:
        """Tau-b of every two orders; where both sides are the same, each two once."""
        same = len(xs) == len(ys) and all(a is b for a, b in zip(xs, ys, strict=True))
        found = np.empty((len(xs), len(ys)))
        for i, x in enumerate(xs):
            for j, y in enumerate(ys):
                found[i, j] = found[j, i] if same and j < i else self.compare(x, y)
        return found


def euclidean_pattern(representation: Representation) -> Pattern:
    """Euclidean distances, as a pattern. Raises DegenerateInputError if all pairs are equally far apart."""
    found = representation.shared(euclidean_distances)
    return _pattern(found.distances, found.n)


def correlation_pattern(representation: Representation) -> Pattern:
    """1 - r between samples, as a pattern. Raises DegenerateInputError as `correlation_chords`."""
    found = representation.shared(correlation_chords)
    return _pattern(found.distances.square(), found.n)


def euclidean_order(representation: Representation) -> PairOrder:
    """Order of Euclidean distances. Raises DegenerateInputError if all pairs are equally far apart."""
    return _order(representation.shared(euclidean_distances))


def correlation_order(representation: Representation) -> PairOrder:
    """Order of 1 - r. Raises DegenerateInputError as `correlation_chords`."""
    return _order(representation.shared(correlation_chords))


def euclidean_ranks(representation: Representation) -> Pattern:
    """Average ranks of Euclidean distances, as a pattern. Raises DegenerateInputError likewise."""
    found = representation.shared(euclidean_order)
    return _pattern(found.order.average_ranks, found.n)


def correlation_ranks(representation: Representation) -> Pattern:
    """Average ranks of 1 - r, as a pattern. Raises DegenerateInputError as `correlation_chords`."""
    found = representation.shared(correlation_order)
    return _pattern(found.order.average_ranks, found.n)


def _pattern(values: Tensor, n: int) -> Pattern:
    moved = values - values.mean()
    return Pattern(moved / moved.norm(), n)


def _order(found: Dissimilarity) -> PairOrder:
    order = rank_order(found.distances, found.resolution)
    if len(order.sizes) == 1:
        raise DegenerateInputError(
            f"the distances between the {found.n} samples differ by no more than rounding: they have no order"
        )
    return PairOrder(order, found.n)
