"""Mean cosine of centred rows, and the same with each sample left out, which moves the means.

Without sample i the mean of centred rows moves from 0 to -x_i / (n-1), so that row j becomes x_j + e x_i with e = 1 / (n-1). Its
cosine with y_j + e y_i follows from inner products of rows, which Gram matrices hold. What is linear in e needs none: summed
over j it is e times x_i'g + y_i'h, with g = sum_j (v_j - c_j u_j) / |x_j|, h alike, u_j and v_j the rows at length 1 and c_j their
cosine. It is computed in float64. The rest, of relative size 1/n, may come from products in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.row_cosine import UnitRows, row_cosines, unit_rows
from repdrift.similarity.kernels.hsic import Kernel, representation_kernel
from repdrift.similarity.representation import Representation

_MANY = 512
_BEND = 0.05
"""Terms that are not linear in e are left out if there are more than `_MANY` samples, and if none is so long beside others that its part
(`_bend`) passes `_BEND`. They cost a product of the size of a Gram matrix, and move the reach of an interval by 0.1 to
0.4 % (measured)."""

_STRIP = 128
"""Samples that are left out at a time."""

_VANISHED = 1e-12
"""A squared length that fell below this share of itself is what rounding leaves of rows that cancel."""


@dataclass(frozen=True, eq=False)
class CentredRows(UnitRows):
    """Centred rows at length 1, the lengths (n,) that they had, and a way to their inner products."""

    lengths: Tensor
    kernel: Callable[[], Kernel]

    def permuted(self, order: Tensor) -> CentredRows:
        """Put the rows in another order."""
        return CentredRows(
            torch.index_select(self.rows, 0, order), self.lengths[order], lambda: self.kernel().permuted(order)
        )


def centred_rows(representation: Representation) -> CentredRows:
    """Centre rows and scale them to length 1. Shared. Raises DegenerateInputError if a sample lies at the mean, naming it."""
    x = representation.centred
    rows = unit_rows(x).rows
    return CentredRows(
        rows, torch.linalg.vecdot(rows, x), lambda: representation.shared(representation_kernel).in_gram_form
    )


def cosine_without_one(x: CentredRows, y: CentredRows) -> Tensor:
    """Mean cosine without sample i, about the means without it, for every i: (n,).

    It is exact up to 512 samples, and where lengths differ much. Otherwise terms of about 1/n of the deviations from the mean
    are left out. Raises DegenerateInputError if a sample lies at the mean once another one is left out, naming it; ShapeError
    unless both sides have the same samples and features.
    """
    c = row_cosines(x, y)
    n, u, v = x.n, x.rows, y.rows
    to_y = (v - c[:, None] * u).T @ x.lengths.reciprocal()
    to_x = (u - c[:, None] * v).T @ y.lengths.reciprocal()
    moved = (x.lengths * (u @ to_y) + y.lengths * (v @ to_x)) / (n - 1)
    if n <= _MANY or max(_bend(x.lengths), _bend(y.lengths)) > _BEND:
        moved += _curvature(x, y, c)
    mean = c.mean()
    return mean + (mean - c + moved) / (n - 1)


def _bend(lengths: Tensor) -> float:
    """Largest over i of the mean over j of (e |x_i| / |x_j|)^2, times n: about 1/n where all samples are of one length."""
    squares = lengths.square()
    return float(squares.max() * squares.reciprocal().mean()) / (lengths.shape[0] - 1)


def _curvature(x: CentredRows, y: CentredRows, c: Tensor) -> Tensor:
    """Sum over j != i of what is not linear in e of the cosine of row j: (n,)."""
    n, k, m = x.n, x.kernel(), y.kernel()
    single = k.table.dtype == m.table.dtype == torch.float32
    u, v = (rows.to(torch.float32) if single else rows for rows in (x.rows, y.rows))
    across = u @ v.T
    found = torch.zeros_like(c)
    for start in range(0, n, _STRIP):
        out = torch.arange(start, min(start + _STRIP, n), device=c.device)
        s, t = (side.lengths[out, None] / side.lengths / (n - 1) for side in (x, y))
        su = k.table[out] / x.lengths.square() / (n - 1)  # s times the cosine of u_i and u_j, in float64
        tv = m.table[out] / y.lengths.square() / (n - 1)
        linear = s * across[out] + t * across[:, out].T
        squares = (1 + 2 * su + s.square()) * (1 + 2 * tv + t.square())
        inner = torch.arange(out.shape[0], device=c.device), out
        squares[inner] = 1.0
        if bool((squares <= _VANISHED).any()):
            i, j = (squares <= _VANISHED).nonzero()[0].tolist()
            raise DegenerateInputError(
                f"without sample {start + i}, sample {j} lies at the mean: its cosine is undefined"
            )
        exact = (c + linear + s * t * c[out, None]) / squares.sqrt()
        rest = exact - c - (linear - c * (su + tv))
        rest[inner] = 0.0
        found[out] = rest.sum(dim=1)
    return found
