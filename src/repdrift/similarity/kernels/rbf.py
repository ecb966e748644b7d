"""The Gaussian kernel of the distances between all samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.distances import pairs_of, squared_distances
from repdrift.similarity.kernels.hsic import Kernel, u_centre_
from repdrift.similarity.representation import Representation

_ROUNDING = 1e-10
"""A U-centred kernel below this share of the kernel is rounding noise."""


@dataclass(frozen=True)
class RbfKernel:
    """exp(-|x_i - x_j|^2 / (2 s^2)) - 1 off the diagonal, U-centred; s is the median distance times `factor`.

    It is a function of a representation, and equal to any other of its factor, so that `Representation.shared` computes it
    once. HSIC_u is an inner product of U-centred matrices (Szekely and Rizzo 2014). Constants and terms a_i + a_j off the
    diagonal do not change these. In this form the kernel keeps its digits; without it, it is mostly what all pairs share.
    """

    factor: float

    def __call__(self, representation: Representation) -> Kernel:
        """Compute it. Raises DegenerateInputError if the median distance is 0, or only rounding is left of the kernel."""
        n = representation.n
        twice_square = 2 * (self.factor * representation.shared(median_distance)) ** 2
        if twice_square == 0:
            raise DegenerateInputError(
                "the median distance between samples is 0, more than half of the pairs being equal: "
                "a kernel as wide as it is undefined"
            )
        table = (representation.shared(squared_distances) / -twice_square).expm1_()
        size = float(torch.linalg.vector_norm(table))
        u_centre_(table)
        if float(torch.linalg.vector_norm(table)) <= _ROUNDING * size:
            raise DegenerateInputError(
                f"all samples are equally far apart, to a kernel as wide as {self.factor:g} median distances: "
                "nothing of it varies"
            )
        return Kernel(table, True, table.new_zeros(n), table.sum(dim=1))


def median_distance(representation: Representation) -> float:
    """Median of |x_i - x_j| over all pairs i < j, as scaled; the mean of the middle two of an even number. Shared."""
    n = representation.n
    squares = pairs_of(representation.shared(squared_distances))
    pairs = n * (n - 1) // 2
    middle = [float(squares.kthvalue(k).values) for k in {(pairs + 1) // 2, pairs // 2 + 1}]
    return sum(math.sqrt(square) for square in middle) / len(middle)
