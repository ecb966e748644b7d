"""Order of numbers with ties: average ranks, and how two orders agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

_LAST_BITS = 6
"""Below this many bits, comparing all pairs is faster than sorting on."""


@dataclass(frozen=True, eq=False)
class RankOrder:
    """m numbers by their order only. `groups` (m,): 0, 1, ... from the smallest; tied numbers are one group."""

    groups: Tensor

    @cached_property
    def ascending(self) -> Tensor:
        """Where the numbers lie, from the smallest to the largest: (m,)."""
        return torch.argsort(self.groups, stable=True)

    @cached_property
    def sizes(self) -> Tensor:
        """Numbers in each group."""
        return torch.bincount(self.groups)

    @cached_property
    def tied_pairs(self) -> int:
        """Pairs of numbers that are tied."""
        return _pairs(self.sizes)

    @property
    def average_ranks(self) -> Tensor:
        """Ranks (m,) in float64, 1 for the smallest; tied numbers have the mean of the ranks that they share."""
        last = self.sizes.cumsum(dim=0)
        return (last.to(torch.float64) - (self.sizes - 1) / 2)[self.groups]


def rank_order(values: Tensor, resolution: float) -> RankOrder:
    """Order of values (m,); neighbours in it that differ by at most `resolution` are tied.

    A gap makes two groups, not a grid of cells: two values that rounding alone parts could lie on both sides of a cell's
    edge, wherever it is drawn.
    """
    ascending, places = torch.sort(values)
    steps = (ascending.diff() > resolution).to(torch.int64).cumsum(dim=0)
    groups = torch.zeros_like(places)
    groups[places[1:]] = steps
    return RankOrder(groups)


def kendall_tau_b(x: RankOrder, y: RankOrder) -> float:
    """(concordant - discordant pairs) / sqrt(pairs not tied in x * pairs not tied in y), for m numbers in O(m log m).

    Source: Kendall 1945; counted as by Knight 1966, with a radix sort in place of a merge sort.
    """
    m = x.groups.shape[0]
    if x.tied_pairs:  # within a tie of x, in the order of y, so that no pair of it counts as discordant
        keys = torch.sort(x.groups * m + y.groups).values
        in_order_of_x = keys % m
    else:
        keys = None
        in_order_of_x = y.groups[x.ascending]
    places = torch.argsort(in_order_of_x, stable=True) if y.tied_pairs else in_order_of_x
    discordant = _inversions(places)
    tied_in_both = (
        0 if keys is None or not y.tied_pairs else _pairs(torch.unique_consecutive(keys, return_counts=True)[1])
    )
    pairs = m * (m - 1) // 2
    balance = pairs - x.tied_pairs - y.tied_pairs + tied_in_both - 2 * discordant
    return balance / math.sqrt((pairs - x.tied_pairs) * (pairs - y.tied_pairs))


def _inversions(permutation: Tensor) -> int:
    """Pairs of a permutation (m,) of 0 to m-1 that stand in the wrong order.

    A radix sort from the highest bit down. At each bit, numbers that agree in all higher bits fill one block; moving those
    with a 0 to its front, their order kept, takes each past the numbers with a 1 before it, and each of these is one
    inversion. So the inversions of a bit are the places by which its zeros moved. In blocks of 64 all pairs are compared.
    """
    m = permutation.shape[0]
    bits = max((m - 1).bit_length(), _LAST_BITS)
    size = 1 << bits
    tail = torch.arange(m, size, dtype=torch.int32, device=permutation.device)
    numbers, found = torch.cat([permutation.to(torch.int32), tail]), 0
    for bit in reversed(range(_LAST_BITS, bits)):
        half = 1 << bit
        high = (numbers & half).bool()
        zeros, ones = (~high).nonzero().squeeze(1), high.nonzero().squeeze(1)
        first_halves = (size // 2) * (size - half - 1) // 2  # the sum of all places in them
        found += int(zeros.sum()) - first_halves
        parts = [torch.index_select(numbers, 0, places).view(-1, half) for places in (zeros, ones)]
        numbers = torch.stack(parts, dim=1).flatten()
    width = 1 << _LAST_BITS
    block = (numbers & (width - 1)).to(torch.int8).view(-1, width).T.contiguous()
    return found + sum(int((block[:-apart] > block[apart:]).count_nonzero()) for apart in range(1, width))


def _pairs(sizes: Tensor) -> int:
    return int((sizes * (sizes - 1)).sum()) // 2
