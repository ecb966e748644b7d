"""Distances between all samples, and the Gaussian kernel of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.gram import gram
from repdrift.similarity.hsic import Kernel
from repdrift.similarity.side import Side

_CLOSE = 1e-4
"""Share of |x_i|^2 + |x_j|^2 below which |x_i - x_j|^2 has lost too much as the difference of products."""

_MANY = 1 / 32
"""Share of close pairs of samples in n^2 from which on it is quicker to take the differences of all."""

_PIECE = 1 << 22
"""Numbers of the differences of close samples that are held at a time."""

_ROUNDING = 1e-10
"""A U-centred kernel below this share of the kernel is rounding noise."""


@dataclass(frozen=True)
class RbfKernel:
    """exp(-|x_i - x_j|^2 / (2 s^2)) - 1 off the diagonal, U-centred; s is the median distance times `factor`.

    A function of a side, equal to any other of its factor, so that `Side.shared` computes it once. HSIC_u is an inner
    product of U-centred matrices (Szekely and Rizzo 2014), which constants and terms a_i + a_j off the diagonal do not
    change. In this form it keeps its digits: as it stands, the kernel is mostly what all pairs have in common.
    """

    factor: float

    def __call__(self, side: Side) -> Kernel:
        """Raises DegenerateInputError if the median distance is 0, or nothing but rounding is left of the kernel."""
        n = side.n
        twice_square = 2 * (self.factor * side.shared(median_distance)) ** 2
        if twice_square == 0:
            raise DegenerateInputError(
                "the median distance between samples is 0, more than half of the pairs being equal: "
                "a kernel as wide as it is undefined"
            )
        table = (side.shared(squared_distances) / -twice_square).expm1_()
        size = float(torch.linalg.vector_norm(table))
        means = table.sum(dim=1) / (n - 2)
        means -= means.sum() / (2 * (n - 1))
        table -= means[:, None] + means  # in one step: the table stays symmetric to the last digit
        table.fill_diagonal_(0.0)
        if float(torch.linalg.vector_norm(table)) <= _ROUNDING * size:
            raise DegenerateInputError(
                f"all samples are equally far apart, to a kernel as wide as {self.factor:g} median distances: "
                "nothing of it varies"
            )
        return Kernel(table, True, table.new_zeros(n), table.sum(dim=1))


def squared_distances(side: Side) -> Tensor:
    """(n, n) |x_i - x_j|^2 of the scaled side: exactly 0 for equal rows and symmetric. Shared, not to be changed."""
    x = side.centred
    products = gram(x)
    lengths = products.diagonal()
    sums = lengths[:, None] + lengths
    upper = torch.sub(sums, products, alpha=2).triu_(1)
    close = (upper <= _CLOSE * sums).triu_(1).nonzero()
    if len(close) > _MANY * side.n**2:
        i, j = torch.triu_indices(side.n, side.n, 1, device=x.device)
        upper[i, j] = torch.pdist(x).square_()
        return upper + upper.T
    for pairs in close.split(max(1, _PIECE // side.p)):
        i, j = pairs.unbind(dim=1)
        upper[i, j] = (x[i] - x[j]).square_().sum(dim=1)
    return upper + upper.T


def median_distance(side: Side) -> float:
    """Median of |x_i - x_j| over all pairs i < j of the scaled side; the mean of the middle two of an even number."""
    n = side.n
    squares = side.shared(squared_distances).flatten()
    pairs = n * (n - 1) // 2
    # In ascending order the n zeros of the diagonal come first, and then each pair twice.
    middle = [float(squares.kthvalue(n + 2 * k).values) for k in {(pairs + 1) // 2, pairs // 2 + 1}]
    return sum(math.sqrt(square) for square in middle) / len(middle)
