"""The nearest neighbours of every sample on one side, by cosine of raw rows, and how those of two sides overlap.

Ties are shared, not broken: which of two equally near samples comes first must not depend on the order of the samples.
Samples that tie for the last places are members of the neighbourhood in part, each by places / samples, so that it always
has k members in all. Samples that tie for places a to b have the harmonic mean of a, ..., b as their rank, so that the
reciprocal ranks of k neighbours always add up to 1 + 1/2 + ... + 1/k. Without ties both are the textbook's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.dissimilarity import RESOLUTION
from repdrift.similarity.geometry.distances import squared_row_distances
from repdrift.similarity.geometry.row_cosine import unit_rows
from repdrift.similarity.inputs import as_orders, centred, require_paired
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL, SHARED_ROTATION, Measure
from repdrift.similarity.representation import Representation

NEIGHBOURS = 10
"""Neighbours of a sample; of fewer than 11 samples, all others."""

COSINE_INVARIANCES = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION, SHARED_ROTATION})


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The k nearest neighbours of each of n samples, nearest first: (n, w), w being k plus what ties with the last."""

    index: Tensor
    """Which samples."""
    weight: Tensor
    """How far each is a member: 1, less where samples tie for the last places, 0 beyond. A row adds up to k."""
    rank: Tensor
    """1 for the nearest."""
    k: int

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.index.shape[0])

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.index.device

    def permuted(self, order: Tensor) -> Neighbourhoods:
        """The same with its samples in another order."""
        place = torch.empty_like(order)
        place[order] = torch.arange(self.n, device=order.device)
        return Neighbourhoods(place[self.index[order]], self.weight[order], self.rank[order], self.k)


@dataclass(frozen=True, eq=False)
class Overlap:
    """One side's neighbours as the other side has them: (n, w). To be summed over the second axis."""

    shared: Tensor
    """How far each is a member on both sides: the smaller weight."""
    rank: Tensor
    """Rank on this side."""
    other_rank: Tensor
    """Rank on the other side; without meaning where `shared` is 0."""
    k: int


class Membership:
    """A side's neighbourhoods, spread out to n x n so that any other side's can be looked up in them."""

    def __init__(self, side: Neighbourhoods) -> None:
        self._weight = side.weight.new_zeros((side.n, side.n)).scatter_(1, side.index, side.weight)
        self._rank = side.rank.new_ones((side.n, side.n)).scatter_(1, side.index, side.rank)
        self.n = side.n

    def overlap(self, other: Neighbourhoods) -> Overlap:
        """With another side. Raises ShapeError unless it has the same samples."""
        require_paired(self.n, other.n)
        shared = torch.minimum(self._weight.gather(1, other.index), other.weight)
        return Overlap(shared, other.rank, self._rank.gather(1, other.index), other.k)


class NeighbourMeasure(Measure):
    """The mean over samples of a number that follows from a sample's neighbours on both sides."""

    bounds = (0.0, 1.0)
    streaming = "needs the neighbours of every sample among all"
    invariances = COSINE_INVARIANCES
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Neighbourhoods:
        """The nearest neighbours. Raises DegenerateInputError naming a sample of zeros, which has no cosine."""
        return representation.shared(nearest_neighbours)

    @abstractmethod
    def per_sample(self, overlap: Overlap) -> Tensor:
        """The number of each sample: (n,)."""

    def compare(self, x: Neighbourhoods, y: Neighbourhoods) -> float:
        """Its mean over samples. Raises ShapeError for other numbers of samples."""
        return self._mean(Membership(x), y)

    def compare_all(self, xs: Sequence[Neighbourhoods], ys: Sequence[Neighbourhoods]) -> NDArray[np.float64]:
        """The mean of every two sides; each of `xs` is spread out once."""
        values = [[self._mean(member, y) for y in ys] for member in map(Membership, xs)]
        return np.array(values, dtype=np.float64).reshape(len(xs), len(ys))

    def mispaired(self, x: Neighbourhoods, y: Neighbourhoods, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """The mean with the samples of y in other orders. Raises ShapeError or DataError as `Measure.mispaired`."""
        require_paired(x.n, y.n)
        orders, member = as_orders(permutations, y.n, y.device), Membership(x)
        return np.array([self._mean(member, y.permuted(order)) for order in orders], dtype=np.float64)

    def _mean(self, member: Membership, y: Neighbourhoods) -> float:
        return float(self.per_sample(member.overlap(y)).mean())


def cosine_chords(representation: Representation) -> Tensor:
    """sqrt(2 (1 - cosine)) between raw rows: (n, n). Raises DegenerateInputError naming a sample of zeros."""
    rows = centred(unit_rows(representation.exact).rows)  # what all rows share would only add to rounding
    return squared_row_distances(rows).sqrt_()


def nearest_neighbours(representation: Representation) -> Neighbourhoods:
    """The nearest by cosine, of each sample but itself. Raises DegenerateInputError naming a sample of zeros."""
    return _nearest(representation.shared(cosine_chords), min(NEIGHBOURS, representation.n - 1))


def some_nearest_neighbours(representation: Representation) -> Neighbourhoods:
    """The same; raises DegenerateInputError where all samples are neighbours, as their sets are then equal on all sides."""
    if representation.n <= NEIGHBOURS + 1:
        raise DegenerateInputError(
            f"each of {representation.n} samples has all others among its {NEIGHBOURS} nearest: sets of neighbours say nothing; "
            f"{NEIGHBOURS + 2} samples are needed"
        )
    return representation.shared(nearest_neighbours)


def harmonic_numbers(k: int, like: Tensor) -> Tensor:
    """0, 1, 1 + 1/2, ..., 1 + 1/2 + ... + 1/k: (k + 1,) in the type of `like` and where it lies."""
    return pad(torch.arange(1, k + 1, dtype=like.dtype, device=like.device).reciprocal().cumsum(dim=0), (1, 0))


def _nearest(chords: Tensor, k: int) -> Neighbourhoods:
    n = chords.shape[0]
    others = chords.clone().fill_diagonal_(torch.inf)
    width = min(k + 1, n - 1)
    while True:
        distances, index = torch.topk(others, width, dim=1, largest=False, sorted=True)
        apart = pad(distances.diff(dim=1) > RESOLUTION, (1, 0))
        group = apart.to(torch.int64).cumsum(dim=1)  # of tied neighbours: 0, 1, ...
        inside = group <= group[:, k - 1 : k]
        if width == n - 1 or not bool(inside[:, -1].any()):
            break
        width = min(2 * width, n - 1)  # ties may go on past what was looked at
    size = torch.zeros_like(group).scatter_add_(1, group, torch.ones_like(group)).gather(1, group)
    column = torch.arange(width, device=group.device)
    first = torch.where(apart, column, 0).cummax(dim=1).values
    last = (first + size).clamp(max=k)
    harmonic = harmonic_numbers(k, chords)
    places = (last - first).clamp(min=1)  # of the k, that the group takes
    weight = torch.where(inside, places / size.to(chords.dtype), 0.0)
    rank = torch.where(inside, places / (harmonic[last] - harmonic[first.clamp(max=k)]), 1.0)
    kept = int(inside.sum(dim=1).max())
    return Neighbourhoods(index[:, :kept], weight[:, :kept], rank[:, :kept], k)
