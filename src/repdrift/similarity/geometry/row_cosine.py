"""Rows of length 1, and the cosines between the two sides' rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.similarity.inputs import require_paired


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Rows scaled to length 1: (n, p)."""

    rows: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.rows.shape[0])

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.rows.device

    def permuted(self, order: Tensor) -> UnitRows:
        """The same rows in another order."""
        return UnitRows(torch.index_select(self.rows, 0, order))


def unit_rows(x: Tensor) -> UnitRows:
    """Scale every row of x (n, p) to length 1. Raises DegenerateInputError naming a row that is all zero."""
    largest = x.abs().amax(dim=1, keepdim=True)
    if bool((largest == 0).any()):
        row = int((largest.squeeze(1) == 0).nonzero()[0])
        raise DegenerateInputError(f"sample {row} is a vector of zeros: its cosine is undefined")
    scaled = x / largest  # squares of large activations stay in range
    return UnitRows(scaled / scaled.norm(dim=1, keepdim=True))


def row_cosines(x: UnitRows, y: UnitRows) -> Tensor:
    """Cosine of each pair of rows: (n,). Computed as 1 - |x - y|^2 / 2, which is exactly 1 for equal rows.

    Raises ShapeError unless both sides have the same samples and features.
    """
    require_paired(x.rows.shape[0], y.rows.shape[0])
    p, q = x.rows.shape[1], y.rows.shape[1]
    if p != q:
        raise ShapeError(f"cosine needs the same features on both sides, got {p} and {q}")
    return 1 - (x.rows - y.rows).square().sum(dim=1) / 2
