"""How much longer or shorter the rows became, whichever way they turned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.frobenius import Norm, frobenius
from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import EXACT, FEATURE_PERMUTATION, ORTHOGONAL, SHARED_ROTATION, Measure, register
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@dataclass(frozen=True, eq=False)
class Size:
    """||X||_F of n samples: their root mean square length times sqrt(n)."""

    norm: Norm
    n: int
    device: torch.device

    def permuted(self, order: Tensor) -> Size:
        """The same: the order of samples is not seen."""
        del order
        return self


@register
class NormChange(Measure):
    """| ||Y||_F / ||X||_F - 1 |: the relative change of the rows' root mean square length; x is the base.

    Not of their mean length, which does not follow from sums of squares; by the triangle inequality it is at most
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
        """The size."""
        return representation.shared(_size)

    def compare(self, x: Size, y: Size) -> float:
        """The change from x to y. Raises ShapeError for other samples; DegenerateInputError if x is zero."""
        require_paired(x.n, y.n)
        return abs(y.norm.relative_to(x.norm) - 1)

    def from_moments(self, result: PairedResult) -> float:
        """From the sums of squares. Raises DegenerateInputError if the base is all zero."""
        base, tuned = result.raw_squares
        if base == 0:
            raise DegenerateInputError("base: all numbers are zero: a change relative to them is undefined")
        return abs(math.sqrt(tuned) / math.sqrt(base) - 1)


def _size(representation: Representation) -> Size:
    return Size(frobenius(representation.exact), representation.n, representation.device)
