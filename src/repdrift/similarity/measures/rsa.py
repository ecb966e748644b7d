"""Representational similarity analysis (RSA): the distances of all pairs of samples on the two sides, correlated.

The invariances of a measure follow from its distance. Euclidean distances do not see rotation and translation of the
features. Correlation over features subtracts each sample's mean feature, a direction that a rotation turns away from, and is
changed by moving single features; it sees neither their order nor a scale that all share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.geometry.distances import (
    PairDistances,
    correlation_chords,
    euclidean_distances,
    reordered_pairs,
)
from repdrift.similarity.invariances import FEATURE_PERMUTATION, ISOTROPIC_SCALING, OF_SHAPE
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation

OF_CORRELATION = frozenset({ISOTROPIC_SCALING, FEATURE_PERMUTATION})
"""Invariances of a correlation over features."""

_PIECE = 1 << 16
"""Pairs of samples per product, when many sides are compared with many."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Numbers of all pairs of n samples, centred and scaled to length 1: (n(n-1)/2,)."""

    unit: Tensor
    n: int

    @property
    def device(self) -> torch.device:
        """Device that it lies on."""
        return self.unit.device

    def permuted(self, order: Tensor) -> Pattern:
        """Put the samples in another order."""
        return Pattern(reordered_pairs(self.unit, self.n, order), self.n)


@dataclass(frozen=True, eq=False)
class PairOrder:
    """Order of the distances of all pairs of n samples.

    groups: (n(n-1)/2,) integers 0, 1, ... from the smallest distance; tied distances are one group.
    """

    groups: Tensor
    n: int

    @property
    def device(self) -> torch.device:
        """Device that it lies on."""
        return self.groups.device

    @property
    def average_ranks(self) -> Tensor:
        """Ranks in float64, 1 for the smallest. Tied distances have the mean of the ranks that they share."""
        sizes = torch.bincount(self.groups)
        return (sizes.cumsum(dim=0).to(torch.float64) - (sizes - 1) / 2)[self.groups]

    def permuted(self, order: Tensor) -> PairOrder:
        """Put the samples in another order."""
        return PairOrder(reordered_pairs(self.groups, self.n, order), self.n)


class PatternRsa(Measure):
    """Pearson's correlation of two patterns; of ranks it is Spearman's. As 1 - |u - v|^2 / 2: exactly 1 for equal sides."""

    bounds = (-1.0, 1.0)
    pairwise = True
    streaming = "needs distances between all samples"

    def compare(self, x: Pattern, y: Pattern) -> float:
        """Correlation of two patterns."""
        require_paired(x.n, y.n)
        return 1 - float((x.unit - y.unit).square_().sum()) / 2

    def compare_all(self, xs: Sequence[Pattern], ys: Sequence[Pattern]) -> NDArray[np.float64]:
        """Correlation of every two patterns, as products of piece after piece of all of them."""
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
    """Kendall's tau-b of two orders of pairs: tied pairs count for neither side. Computed on the processor, by scipy."""

    bounds = (-1.0, 1.0)
    pairwise = True
    streaming = "needs distances between all samples"

    def compare(self, x: PairOrder, y: PairOrder) -> float:
        """Tau-b of two orders."""
        require_paired(x.n, y.n)
        found: Any = kendalltau(x.groups.cpu().numpy(), y.groups.cpu().numpy(), method="asymptotic")
        return float(found.statistic)

    def compare_all(self, xs: Sequence[PairOrder], ys: Sequence[PairOrder]) -> NDArray[np.float64]:
        """Tau-b of every two orders. If `xs` and `ys` are the same, each pair is computed once."""
        same = len(xs) == len(ys) and all(a is b for a, b in zip(xs, ys, strict=True))
        found = np.empty((len(xs), len(ys)))
        for i, x in enumerate(xs):
            for j, y in enumerate(ys):
                found[i, j] = found[j, i] if same and j < i else self.compare(x, y)
        return found


@register
class EuclideanPearsonRsa(PatternRsa):
    """Pearson's correlation between the Euclidean distances of all pairs of samples on the two sides."""

    name = "rsa_euclidean_pearson"
    title = "RSA, Euclidean distance, Pearson"
    description = "Pearson's correlation of Euclidean distances between samples."
    reference = "Kriegeskorte et al. 2008"
    invariances = OF_SHAPE
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """Compute the distances of all pairs."""
        return representation.shared(euclidean_pattern)


@register
class EuclideanSpearmanRsa(PatternRsa):
    """Spearman's rank correlation between the Euclidean distances of all pairs of samples on the two sides."""

    name = "rsa_euclidean_spearman"
    title = "RSA, Euclidean distance, Spearman"
    description = "Spearman's rank correlation of Euclidean distances between samples; ties have their mean rank."
    reference = "Kriegeskorte et al. 2008"
    invariances = OF_SHAPE
    cost = "n^2 (p + log n) to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """Compute the ranks of the distances of all pairs."""
        return representation.shared(euclidean_ranks)


@register
class EuclideanKendallRsa(KendallRsa):
    """Kendall's tau-b between the Euclidean distances of all pairs of samples on the two sides."""

    name = "rsa_euclidean_kendall"
    title = "RSA, Euclidean distance, Kendall's tau-b"
    description = "Kendall's tau-b of Euclidean distances between samples: agreement in the order of every two pairs."
    reference = "Kriegeskorte et al. 2008; Kendall 1945; Knight 1966"
    invariances = OF_SHAPE
    cost = "n^2 (p + log n) to prepare; n^2 log n to compare"

    def derive(self, representation: Representation) -> PairOrder:
        """Compute the order of the distances of all pairs."""
        return representation.shared(euclidean_order)


@register
class CorrelationPearsonRsa(PatternRsa):
    """Pearson's correlation between the correlation distances (1 - r) of all pairs of samples on the two sides."""

    name = "rsa_correlation_pearson"
    title = "RSA, correlation distance, Pearson"
    description = "Pearson's correlation of correlation distances between samples."
    ignores_zero_features = False
    reference = "Kriegeskorte et al. 2008"
    invariances = OF_CORRELATION
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """Compute the distances of all pairs."""
        return representation.shared(correlation_pattern)


@register
class CorrelationSpearmanRsa(PatternRsa):
    """Spearman's rank correlation between the correlation distances (1 - r) of all pairs of samples on the two sides."""

    name = "rsa_correlation_spearman"
    title = "RSA, correlation distance, Spearman"
    description = "Spearman's rank correlation of correlation distances between samples; ties have their mean rank."
    ignores_zero_features = False
    reference = "Kriegeskorte et al. 2008"
    invariances = OF_CORRELATION
    cost = "n^2 (p + log n) to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """Compute the ranks of the distances of all pairs."""
        return representation.shared(correlation_ranks)


@register
class CorrelationKendallRsa(KendallRsa):
    """Kendall's tau-b between the correlation distances (1 - r) of all pairs of samples on the two sides."""

    name = "rsa_correlation_kendall"
    title = "RSA, correlation distance, Kendall's tau-b"
    description = "Kendall's tau-b of correlation distances between samples: agreement in the order of every two pairs."
    ignores_zero_features = False
    reference = "Kriegeskorte et al. 2008; Kendall 1945; Knight 1966"
    invariances = OF_CORRELATION
    cost = "n^2 (p + log n) to prepare; n^2 log n to compare"

    def derive(self, representation: Representation) -> PairOrder:
        """Compute the order of the distances of all pairs."""
        return representation.shared(correlation_order)


def euclidean_pattern(representation: Representation) -> Pattern:
    """Euclidean distances, as a pattern. Raises DegenerateInputError if all pairs are equally far apart."""
    found = representation.shared(euclidean_distances)
    return _pattern(found.distances, found.n)


def correlation_pattern(representation: Representation) -> Pattern:
    """1 - r between samples, as a pattern. Raises DegenerateInputError if r is undefined for a sample (`correlation_chords`)."""
    found = representation.shared(correlation_chords)
    return _pattern(found.distances.square(), found.n)


def euclidean_order(representation: Representation) -> PairOrder:
    """Order of Euclidean distances. Raises DegenerateInputError if all pairs are equally far apart."""
    return _order(representation.shared(euclidean_distances))


def correlation_order(representation: Representation) -> PairOrder:
    """Order of 1 - r. Raises DegenerateInputError if r is undefined for a sample (`correlation_chords`)."""
    return _order(representation.shared(correlation_chords))


def euclidean_ranks(representation: Representation) -> Pattern:
    """Average ranks of Euclidean distances, as a pattern. Raises DegenerateInputError if all pairs are equally far apart."""
    found = representation.shared(euclidean_order)
    return _pattern(found.average_ranks, found.n)


def correlation_ranks(representation: Representation) -> Pattern:
    """Average ranks of 1 - r, as a pattern. Raises DegenerateInputError if r is undefined (`correlation_chords`)."""
    found = representation.shared(correlation_order)
    return _pattern(found.average_ranks, found.n)


def _pattern(values: Tensor, n: int) -> Pattern:
    moved = values - values.mean()
    return Pattern(moved.div_(moved.norm()), n)


def _order(found: PairDistances) -> PairOrder:
    groups = tied_groups(found.distances, found.resolution)
    if not bool(groups.any()):
        raise DegenerateInputError(
            f"the distances between the {found.n} samples differ by no more than rounding: they have no order"
        )
    return PairOrder(groups, found.n)


def tied_groups(values: Tensor, resolution: float) -> Tensor:
    """Order values (m,): 0, 1, ... from the smallest. Neighbours in that order that differ by at most `resolution` are tied.

    A gap makes two groups. A grid of cells would not do: two values that only rounding parts could lie on both sides of a
    cell's edge, wherever it is drawn.
    """
    ascending, indices = torch.sort(values)
    apart = ascending.diff() > resolution
    del ascending
    steps = apart.cumsum(dim=0)
    groups = torch.zeros_like(indices)
    groups[indices[1:]] = steps
    return groups
