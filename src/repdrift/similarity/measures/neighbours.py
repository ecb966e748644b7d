"""Neighbours: whether a sample has the same nearest neighbours on both sides, by cosine of raw rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import as_orders, require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.geometry.distances import RESOLUTION, row_strips
from repdrift.similarity.geometry.neighbourhoods import (
    Neighbourhoods,
    cosine_chords,
    harmonic_numbers,
    nearest_neighbours,
    some_nearest_neighbours,
)
from repdrift.similarity.invariances import OF_DIRECTIONS
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation


@dataclass(frozen=True, eq=False)
class Overlap:
    """Neighbours on one side as the other side has them: (n, w). To be summed over the second axis."""

    shared: Tensor
    """Membership of each on both sides: the smaller weight."""
    rank: Tensor
    """Rank on this side."""
    other_rank: Tensor
    """Rank on the other side; without meaning where `shared` is 0."""
    k: int


class Membership:
    """Neighbourhoods of some samples of one side, spread out over all samples: those of any other side can be looked up in them."""

    def __init__(self, side: Neighbourhoods, start: int, stop: int) -> None:
        self._rows = slice(start, stop)
        index, shape = side.index[self._rows], (stop - start, side.n)
        self._weight = side.weight.new_zeros(shape).scatter_(1, index, side.weight[self._rows])
        self._rank = side.rank.new_ones(shape).scatter_(1, index, side.rank[self._rows])

    def overlap(self, other: Neighbourhoods) -> Overlap:
        """Look up the neighbours that the same samples have on another side."""
        index = other.index[self._rows]
        shared = torch.minimum(self._weight.gather(1, index), other.weight[self._rows])
        return Overlap(shared, other.rank[self._rows], self._rank.gather(1, index), other.k)


class NeighbourMeasure(Measure):
    """Mean over samples of a number that follows from a sample's neighbours on both sides."""

    bounds = (0.0, 1.0)
    pairwise = True
    streaming = "needs the neighbours of every sample among all"
    invariances = OF_DIRECTIONS
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Neighbourhoods:
        """Find the nearest neighbours.

        Raises DegenerateInputError if a sample is a vector of zeros, naming it: it has no cosine.
        """
        return representation.shared(nearest_neighbours)

    @abstractmethod
    def per_sample(self, overlap: Overlap) -> Tensor:
        """Compute the number of each sample: (n,)."""

    def compare(self, x: Neighbourhoods, y: Neighbourhoods) -> float:
        """Mean over samples. Raises ShapeError if the two have different numbers of samples."""
        return self._means(x, [y])[0]

    def compare_all(self, xs: Sequence[Neighbourhoods], ys: Sequence[Neighbourhoods]) -> NDArray[np.float64]:
        """Mean over samples for every two sides; each of `xs` is spread out once."""
        values = [self._means(x, ys) for x in xs]
        return np.array(values, dtype=np.float64).reshape(len(xs), len(ys))

    def mispaired(self, x: Neighbourhoods, y: Neighbourhoods, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Mean over samples, with the samples of y in other orders.

        Raises ShapeError or DataError unless each row of `permutations` is a permutation of the n samples.
        """
        require_paired(x.n, y.n)
        orders = as_orders(permutations, y.n, y.device)
        return np.array(self._means(x, [y.permuted(order) for order in orders]), dtype=np.float64)

    def _means(self, x: Neighbourhoods, ys: Sequence[Neighbourhoods]) -> list[float]:
        for y in ys:
            require_paired(x.n, y.n)
        found: list[list[Tensor]] = [[] for _ in ys]
        for start, stop in row_strips(x.n):
            member = Membership(x, start, stop)
            for values, y in zip(found, ys, strict=True):
                values.append(self.per_sample(member.overlap(y)))
        return [float(torch.cat(values).mean()) for values in found]


@register
class MutualNearestNeighbours(NeighbourMeasure):
    """Mean over samples of |N_k(x_i) & N_k(y_i)| / k, for the k = 10 nearest by cosine of raw rows.

    About k / (n - 1) for unrelated representations. Samples that tie for the last ranks count in part. The paper's program
    also clips large activations before it scales rows to length 1; nothing is clipped here.
    Raises DegenerateInputError for fewer than 12 samples, whose neighbours are all others whatever the data.
    """

    name = "mutual_knn"
    title = "mutual nearest neighbours"
    description = (
        "Share of the 10 nearest neighbours (cosine, not centred) that both sides have; noise gives 10 / (n - 1)."
    )
    reference = "Huh et al. 2024, appendix A"

    def derive(self, representation: Representation) -> Neighbourhoods:
        """Find the nearest neighbours."""
        return representation.shared(some_nearest_neighbours)

    def per_sample(self, overlap: Overlap) -> Tensor:
        """Share of neighbours that both sides have."""
        return overlap.shared.sum(dim=1) / overlap.k


@register
class NeighbourJaccard(NeighbourMeasure):
    """Mean over samples of |N_k(x_i) & N_k(y_i)| / |N_k(x_i) | N_k(y_i)|, for the k = 10 nearest by cosine of raw rows.

    Samples that tie for the last ranks count in part: the sum of smaller weights over that of larger ones.
    Raises DegenerateInputError for fewer than 12 samples, whose neighbours are all others whatever the data.
    """

    name = "neighbour_jaccard"
    title = "Jaccard similarity of neighbours"
    description = "Common over all of the 10 nearest neighbours (cosine, not centred) that either side has."
    reference = "Wang et al. 2020; Klabunde et al. 2023"

    def derive(self, representation: Representation) -> Neighbourhoods:
        """Find the nearest neighbours."""
        return representation.shared(some_nearest_neighbours)

    def per_sample(self, overlap: Overlap) -> Tensor:
        """Common neighbours over all."""
        common = overlap.shared.sum(dim=1)
        return common / (2 * overlap.k - common)


@register
class RankSimilarity(NeighbourMeasure):
    """Mean over samples of sum_j 2 / ((1 + |r_j - s_j|) (r_j + s_j)) / (1 + 1/2 + ... + 1/K), 0 where K = 0.

    The sum is over the K common ones of the k = 10 nearest neighbours by cosine of raw rows (of fewer than 11 samples, all
    others); r_j and s_j are their ranks on the two sides, 1 for the nearest. The nearest count most. The measure sees the
    common neighbours only: a single one, if it is the nearest on both sides, gives 1. Read it beside `mutual_knn`.
    Samples that tie for the last ranks count in part, and between whole K the sum of reciprocals is on a straight line.
    """

    name = "rank_similarity"
    title = "rank similarity of neighbours"
    description = "Agreement in rank of the common ones of the 10 nearest neighbours (cosine, not centred)."
    reference = "Wang et al. 2020; Klabunde et al. 2023"

    def per_sample(self, overlap: Overlap) -> Tensor:
        """Weighted agreement of ranks."""
        r, s = overlap.rank, overlap.other_rank
        agreement = (overlap.shared * 2 / ((1 + (r - s).abs()) * (r + s))).sum(dim=1)
        common = overlap.shared.sum(dim=1)
        # One more than k, so that the last whole number has a next one too.
        harmonic = harmonic_numbers(overlap.k + 1, common)
        whole = common.floor().to(torch.int64)
        most = torch.lerp(harmonic[whole], harmonic[whole + 1], common - whole)
        return torch.where(common > 0, agreement / most, 0.0)


@dataclass(frozen=True, eq=False)
class NeighbourCosines:
    """Cosines of every two samples (n, n), and whether the second is a neighbour of the first (n, n)."""

    cosines: Tensor
    near: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.cosines.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.cosines.device

    def permuted(self, order: Tensor) -> NeighbourCosines:
        """Put the samples in another order."""
        return NeighbourCosines(self.cosines[order][:, order], self.near[order][:, order])


@register
class SecondOrderCosine(Measure):
    """Mean over samples of cos(s_i, t_i): a sample's cosines s_i, t_i on the two sides to the neighbours of either.

    It says whether a sample is as near to its neighbours on one side as it is on the other. The neighbours are the union of
    its k = 10 nearest by cosine of raw rows on both sides (of fewer than 11 samples, all others), with all that tie for the
    last ranks. Where all vectors share a large mean, all cosines are near 1, and so is the value, whatever the data.
    Raises DegenerateInputError if a sample is orthogonal to all these neighbours on a side, naming it.
    """

    name = "second_order_cosine"
    title = "second-order cosine"
    description = "Cosine between a sample's cosines to its neighbours (10 nearest on either side, not centred)."
    bounds = (-1.0, 1.0)
    reference = "Hamilton et al. 2016; Klabunde et al. 2023"
    pairwise = True
    streaming = "needs the neighbours of every sample among all"
    invariances = OF_DIRECTIONS
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> NeighbourCosines:
        """Compute all cosines and find the neighbours.

        Raises DegenerateInputError if a sample is a vector of zeros, naming it.
        """
        return representation.shared(_neighbour_cosines)

    def compare(self, x: NeighbourCosines, y: NeighbourCosines) -> float:
        """Mean cosine of cosines, as 1 - |u - v|^2 / 2 of unit vectors: exactly 1 for equal sides."""
        require_paired(x.n, y.n)
        total = x.cosines.new_zeros(())
        for start, stop in row_strips(x.n):
            either = x.near[start:stop] | y.near[start:stop]
            total += (_unit(x, either, start) - _unit(y, either, start)).square().sum()
        return 1 - float(total) / (2 * x.n)


def _neighbour_cosines(representation: Representation) -> NeighbourCosines:
    found, chords = representation.shared(nearest_neighbours), representation.shared(cosine_chords)
    n = representation.n
    near = torch.zeros((n, n), dtype=torch.bool, device=chords.device).scatter_(1, found.index, found.weight > 0)
    return NeighbourCosines(chords.square().div_(-2).add_(1), near)


def _unit(side: NeighbourCosines, either: Tensor, start: int) -> Tensor:
    """Cosines of samples from `start` on to the neighbours on either side (rows, n), scaled to length 1; 0 elsewhere."""
    cosines = torch.where(either, side.cosines[start : start + len(either)], 0.0)
    lengths = cosines.norm(dim=1, keepdim=True)
    if bool((lengths <= RESOLUTION).any()):
        sample = start + int((lengths.squeeze(1) <= RESOLUTION).nonzero()[0])
        raise DegenerateInputError(
            f"sample {sample} is orthogonal to all its neighbours: the direction of its cosines is undefined"
        )
    return cosines / lengths
