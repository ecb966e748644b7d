"""Rows of length 1, and the cosines between the two sides' rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.similarity.arrays import require_paired

_STRIP = 128
"""Rows of one side that are multiplied with all orders of the other side's rows before the next ones."""


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Rows scaled to length 1: (n, p)."""

    rows: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.rows.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.rows.device

    def permuted(self, order: Tensor) -> UnitRows:
        """Put the rows in another order."""
        return UnitRows(torch.index_select(self.rows, 0, order))


def unit_rows(x: Tensor) -> UnitRows:
    """Scale every row of x (n, p) to length 1. Raises DegenerateInputError if a row is all zero, naming it."""
    largest = torch.linalg.vector_norm(x, ord=math.inf, dim=1, keepdim=True)
    if bool((largest == 0).any()):
        row = int((largest.squeeze(1) == 0).nonzero()[0])
        raise DegenerateInputError(f"sample {row} is a vector of zeros: its cosine is undefined")
    scaled = x / largest  # squares of large activations stay in range
    return UnitRows(scaled.div_(torch.linalg.vector_norm(scaled, dim=1, keepdim=True)))


def row_cosines(x: UnitRows, y: UnitRows) -> Tensor:
    """Cosine of each pair of rows: (n,). Computed as 1 - |x - y|^2 / 2, which is exactly 1 for equal rows.

    Raises ShapeError unless both sides have the same samples and features.
    """
    _require_alike(x, y)
    return 1 - (x.rows - y.rows).square_().sum(dim=1) / 2


def mispaired_cosines(x: UnitRows, y: UnitRows, orders: Tensor) -> Tensor:
    """Mean cosine of x's rows and y's, with y in each of `orders` (k, n): (k,).

    It is a sum of products: equal rows give 1 to rounding, not to the last digit. Raises ShapeError unless both sides have
    the same samples and features.
    """
    _require_alike(x, y)
    total = x.rows.new_zeros(orders.shape[0])
    for start in range(0, x.n, _STRIP):  # a strip of x stays in the cache for all orders
        part = slice(start, start + _STRIP)
        left = x.rows[part].flatten()
        for number, order in enumerate(orders):
            total[number] += torch.dot(left, y.rows.index_select(0, order[part]).flatten())
    return total / x.n


def _require_alike(x: UnitRows, y: UnitRows) -> None:
    require_paired(x.n, y.n)
    p, q = x.rows.shape[1], y.rows.shape[1]
    if p != q:
        raise ShapeError(f"cosine needs the same features on both sides, got {p} and {q}")
