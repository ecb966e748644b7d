"""Frobenius norms of any float64 table, and their ratios: squares neither overflow nor vanish."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError

_SAFE_EXPONENT = 400
"""Between 2^-400 and 2^400 squares, summed over any number of samples and features, stay inside float64."""


class Norm(NamedTuple):
    """fraction * 2^exponent, which may lie outside float64."""

    fraction: float
    exponent: int

    def relative_to(self, base: Norm) -> float:
        """This norm / the base's. Raises DegenerateInputError if the base is zero, or so small that float64 has no such
        number."""
        if base.fraction == 0:
            raise DegenerateInputError("base: all numbers are zero: a change relative to them is undefined")
        try:
            return math.ldexp(self.fraction / base.fraction, self.exponent - base.exponent)
        except OverflowError:
            raise DegenerateInputError("base: so close to zero that a change relative to it leaves float64") from None


def frobenius(x: Tensor) -> Norm:
    """||X||_F of a float64 table (n, p)."""
    low, high = torch.aminmax(x)
    exponent = math.frexp(max(-float(low), float(high)))[1]
    if abs(exponent) <= _SAFE_EXPONENT:
        return Norm(float(torch.linalg.vector_norm(x)), 0)
    half = -exponent // 2  # in two steps: 2^-exponent alone can lie outside float64
    return Norm(
        float(torch.linalg.vector_norm(x * math.ldexp(1.0, half) * math.ldexp(1.0, -exponent - half))), exponent
    )


def frobenius_of_difference(x: Tensor, y: Tensor) -> Norm:
    """||Y - X||_F of two float64 tables (n, p)."""
    found = frobenius(y - x)
    if math.isfinite(found.fraction):
        return found
    fraction, exponent = frobenius((y / 2).sub_(x, alpha=0.5))  # the difference of the largest numbers overflows
    return Norm(fraction, exponent + 1)
