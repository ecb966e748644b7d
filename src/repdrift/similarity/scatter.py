"""Scatter matrices of two paired representations: all that measures of second moments need, from rows or from sums."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from repdrift.similarity.inputs import require_paired
from repdrift.similarity.representation import Representation


@dataclass(frozen=True, eq=False)
class Scatter:
    """Sums over n samples of products of centred features, in float64; divided by n they are covariances.

    From sums that were streamed with float32 products these carry about 1e-7 of their size as noise: what inverts them
    should be streamed with float64 products.
    """

    n: int
    xx: Tensor
    """(p, p) Xc'Xc."""
    xy: Tensor
    """(p, q) Xc'Yc."""
    yy: Tensor
    """(q, q) Yc'Yc."""
    rounding: float = 1e-12
    """The share of the largest eigenvalue that the products' rounding can reach: about 1e-7 of float32 products."""

    @property
    def swapped(self) -> Scatter:
        """The same with the sides exchanged."""
        return Scatter(self.n, self.yy, self.xy.T, self.xx, self.rounding)


def scatter(x: Representation, y: Representation) -> Scatter:
    """Of two sides, as they were scaled (`Representation.scaled`). Raises ShapeError unless they have the same samples."""
    require_paired(x.n, y.n)
    return Scatter(x.n, x.centred.T @ x.centred, x.centred.T @ y.centred, y.centred.T @ y.centred)
