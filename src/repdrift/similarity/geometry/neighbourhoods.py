"""The nearest neighbours of every sample, by cosine of raw rows.

Ties are shared, not broken: which of two equally near samples comes first must not depend on the order of the samples.
Samples that tie for the last ranks are members of the neighbourhood in part, each by ranks / samples, so that it always has k
members in all. Samples that tie for ranks a to b have the harmonic mean of a, ..., b as their rank, so that the reciprocal
ranks of k neighbours always add up to 1 + 1/2 + ... + 1/k. Without ties both are the textbook's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import centred
from repdrift.similarity.geometry.distances import RESOLUTION, row_strips, squared_row_distances
from repdrift.similarity.geometry.row_cosine import unit_rows
from repdrift.similarity.representation import Representation

NEIGHBOURS = 10
"""Neighbours of a sample; of fewer than 11 samples, all others."""


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The k nearest neighbours of each of n samples, nearest first: (n, w), where w is k plus what ties with the last."""

    index: Tensor
    """Sample indices of the neighbours."""
    weight: Tensor
    """Membership of each: 1, less where samples tie for the last ranks, 0 beyond. A row adds up to k."""
    rank: Tensor
    """Rank of each; 1 for the nearest."""
    k: int

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.index.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.index.device

    def permuted(self, order: Tensor) -> Neighbourhoods:
        """Put the samples in another order."""
        position = torch.empty_like(order)
        position[order] = torch.arange(self.n, device=order.device)
        return Neighbourhoods(position[self.index[order]], self.weight[order], self.rank[order], self.k)


def cosine_chords(representation: Representation) -> Tensor:
    """sqrt(2 (1 - cosine)) between raw rows: (n, n). Shared.

    Raises DegenerateInputError if a sample is a vector of zeros, naming it.
    """
    rows = centred(unit_rows(representation.exact).rows)  # what all rows share would only add to rounding
    return squared_row_distances(rows).sqrt_()


def nearest_neighbours(representation: Representation) -> Neighbourhoods:
    """The nearest other samples of each sample, by cosine. Shared.

    Raises DegenerateInputError if a sample is a vector of zeros, naming it.
    """
    return _nearest(representation.shared(cosine_chords), min(NEIGHBOURS, representation.n - 1))


def some_nearest_neighbours(representation: Representation) -> Neighbourhoods:
    """The nearest neighbours, where not all other samples are among them. Shared.

    Raises DegenerateInputError if all are, since sets of neighbours are then equal on all sides; and if a sample is a
    vector of zeros.
    """
    n = representation.n
    if n <= NEIGHBOURS + 1:
        raise DegenerateInputError(
            f"each of {n} samples has all others among its {NEIGHBOURS} nearest: sets of neighbours say nothing; "
            f"{NEIGHBOURS + 2} samples are needed"
        )
    return representation.shared(nearest_neighbours)


def harmonic_numbers(k: int, like: Tensor) -> Tensor:
    """0, 1, 1 + 1/2, ..., 1 + 1/2 + ... + 1/k: (k + 1,) in the type and on the device of `like`."""
    return pad(torch.arange(1, k + 1, dtype=like.dtype, device=like.device).reciprocal().cumsum(dim=0), (1, 0))


def _nearest(chords: Tensor, k: int) -> Neighbourhoods:
    n = chords.shape[0]
    width = min(k + 1, n - 1)
    while True:
        strips = [_nearest_of(chords, start, stop, k, width) for start, stop in row_strips(n)]
        kept = max(strip.kept for strip in strips)
        if width == n - 1 or kept < width:
            break
        width = min(2 * width, n - 1)  # ties may go on past what was looked at
    index, weight, rank = (
        torch.cat([part[:, :kept] for part in parts])
        for parts in zip(*((strip.index, strip.weight, strip.rank) for strip in strips), strict=True)
    )
    return Neighbourhoods(index, weight, rank, k)


@dataclass(frozen=True, eq=False)
class _Strip:
    """Neighbours of some samples, as in `Neighbourhoods`, and the largest number of them that counts."""

    index: Tensor
    weight: Tensor
    rank: Tensor
    kept: int


def _nearest_of(chords: Tensor, start: int, stop: int, k: int, width: int) -> _Strip:
    """The `width` nearest of samples `start` to `stop`. If as many of them count, ties may go on beyond."""
    others = chords[start:stop].clone()
    others.diagonal(start).fill_(torch.inf)
    distances, index = torch.topk(others, width, dim=1, largest=False, sorted=True)
    apart = pad(distances.diff(dim=1) > RESOLUTION, (1, 0))
    group = apart.to(torch.int64).cumsum(dim=1)  # of tied neighbours: 0, 1, ...
    inside = group <= group[:, k - 1 : k]
    size = torch.zeros_like(group).scatter_add_(1, group, torch.ones_like(group)).gather(1, group)
    column = torch.arange(width, device=group.device)
    first = torch.where(apart, column, 0).cummax(dim=1).values
    last = (first + size).clamp(max=k)
    harmonic = harmonic_numbers(k, chords)
    ranks = (last - first).clamp(min=1)  # how many of the k ranks the group takes
    weight = torch.where(inside, ranks / size.to(chords.dtype), 0.0)
    rank = torch.where(inside, ranks / (harmonic[last] - harmonic[first.clamp(max=k)]), 1.0)
    return _Strip(index, weight, rank, int(inside.sum(dim=1).max()))
