"""Change of raw rows, as a share of the base: nothing is aligned, centred or scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import FEATURE_PERMUTATION, ORTHOGONAL, SHARED_ROTATION
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult

_SAFE_EXPONENT = 400
"""Between 2^-400 and 2^400 squares, summed over any number of samples and features, stay inside float64."""


class Norm(NamedTuple):
    """A norm as fraction * 2^exponent, which may lie outside float64."""

    fraction: float
    exponent: int

    def relative_to(self, base: Norm) -> float:
        """This norm / the base's. Raises DegenerateInputError if the base is zero, or too small for a quotient in float64."""
        if base.fraction == 0:
            raise DegenerateInputError("base: all numbers are zero: a change relative to them is undefined")
        try:
            return math.ldexp(self.fraction / base.fraction, self.exponent - base.exponent)
        except OverflowError:
            raise DegenerateInputError("base: so close to zero that a change relative to it leaves float64") from None


@dataclass(frozen=True, eq=False)
class RawRows:
    """Rows (n, p) as they are, in float64."""

    rows: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.rows.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.rows.device

    @cached_property
    def norm(self) -> Norm:
        """||X||_F."""
        return frobenius(self.rows)

    def permuted(self, order: Tensor) -> RawRows:
        """Put the rows in another order."""
        return RawRows(torch.index_select(self.rows, 0, order))


@register
class RelativeChange(Measure):
    """||Y - X||_F / ||X||_F of raw rows; x is the base."""

    name = "relative_change"
    title = "relative change"
    description = "Size of the difference of a sample's two vectors, over that of the base's; sees any change at all."
    bounds = (0.0, math.inf)
    self_value = 0.0
    higher_is_similar = False
    symmetric = False
    same_width = True
    reference = "textbook"
    invariances = frozenset({SHARED_ROTATION})
    cost = "n p"
    streaming = EXACT

    def derive(self, representation: Representation) -> RawRows:
        """Copy the rows: whoever gave them may use their memory for the next layer."""
        x = representation.exact
        return RawRows(x.clone() if x is representation.given else x)

    def compare(self, x: RawRows, y: RawRows) -> float:
        """Change from x to y.

        Raises ShapeError if they differ in samples or features; DegenerateInputError if x is all zero.
        """
        require_paired(x.n, y.n)
        p, q = x.rows.shape[1], y.rows.shape[1]
        if p != q:
            raise ShapeError(f"a change needs the same features on both sides, got {p} and {q}")
        return frobenius_of_difference(x.rows, y.rows).relative_to(x.norm)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from the sum of squared differences."""
        return result.relative_change


@dataclass(frozen=True, eq=False)
class Size:
    """||X||_F of n samples: their root mean square length times sqrt(n)."""

    norm: Norm
    n: int
    device: torch.device

    def permuted(self, order: Tensor) -> Size:
        """Return it unchanged: it does not depend on the order of samples."""
        del order
        return self


@register
class NormChange(Measure):
    """| ||Y||_F / ||X||_F - 1 |: the relative change of the rows' root mean square length; x is the base.

    It is not that of their mean length, which does not follow from sums of squares. By the triangle inequality it is at most
    `relative_change`. It does not see which row belongs to which, so that its mispaired value is the value itself.
    """

    name = "norm_change"
    title = "change of length"
    description = "Relative change of the root mean square length of raw vectors; blind to direction and pairing."
    bounds = (0.0, math.inf)
    self_value = 0.0
    paired = False
    higher_is_similar = False
    symmetric = False
    reference = "textbook"
    invariances = frozenset({ORTHOGONAL, SHARED_ROTATION, FEATURE_PERMUTATION})
    cost = "n p to prepare; 1 to compare"
    streaming = EXACT

    def derive(self, representation: Representation) -> Size:
        """Compute the size of all rows."""
        return representation.shared(_size)

    def compare(self, x: Size, y: Size) -> float:
        """Change from x to y. Raises ShapeError if they differ in samples; DegenerateInputError if x is all zero."""
        require_paired(x.n, y.n)
        return abs(y.norm.relative_to(x.norm) - 1)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from the sums of squares. Raises DegenerateInputError if the base is all zero."""
        base, tuned = result.raw_squares
        if base == 0:
            raise DegenerateInputError("base: all numbers are zero: a change relative to them is undefined")
        return abs(math.sqrt(tuned) / math.sqrt(base) - 1)


def frobenius(x: Tensor) -> Norm:
    """||X||_F of a float64 table (n, p) of any magnitude: squares neither overflow nor vanish."""
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


def _size(representation: Representation) -> Size:
    return Size(frobenius(representation.exact), representation.n, representation.device)
