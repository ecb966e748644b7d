"""How far the rows moved, as a share of their size: nothing is aligned, centred or scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from repdrift.core.errors import ShapeError
from repdrift.similarity.geometry.frobenius import Norm, frobenius, frobenius_of_difference
from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import EXACT, SHARED_ROTATION, Measure, register
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@dataclass(frozen=True, eq=False)
class RawRows:
    """Rows (n, p) as they are, in float64."""

    rows: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.rows.shape[0])

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.rows.device

    @cached_property
    def norm(self) -> Norm:
        """||X||_F."""
        return frobenius(self.rows)

    def permuted(self, order: Tensor) -> RawRows:
        """The same rows in another order."""
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
        """The rows: a copy, as whoever gave them may use their memory for the next layer."""
        return RawRows(
            representation.exact.clone() if representation.exact is representation.given else representation.exact
        )

    def compare(self, x: RawRows, y: RawRows) -> float:
        """The change from x to y.

        Raises ShapeError for other samples or features; DegenerateInputError if x is all zero.
        """
        require_paired(x.n, y.n)
        p, q = x.rows.shape[1], y.rows.shape[1]
        if p != q:
            raise ShapeError(f"a change needs the same features on both sides, got {p} and {q}")
        return frobenius_of_difference(x.rows, y.rows).relative_to(x.norm)

    def from_moments(self, result: PairedResult) -> float:
        """From the sum of squared differences."""
        return result.relative_change
