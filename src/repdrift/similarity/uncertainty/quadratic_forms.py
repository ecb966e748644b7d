"""Quadratic forms w'Mw of many rows w and many symmetric matrices M (n, n): by triangles, or by leading eigenpairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_STRIPS = 4
_NARROWEST = 64
"""A quadratic form needs one triangle only, which is taken in strips of rows."""

_SPARE = 8
"""Directions of the random start beyond those that are asked for."""

_ROUNDS = 2
"""Power iterations. The part that they miss is known, because the Frobenius norm of the rest is."""


class Triangles:
    """Quadratic forms as products with upper triangles, in float32: five eighths of the work of whole matrices."""

    def __init__(self, matrices: Sequence[Tensor]) -> None:
        n = matrices[0].shape[0]
        width = max(_NARROWEST, -(-n // _STRIPS))
        self._count = len(matrices)
        # Entries below the diagonal count twice above it; within a diagonal block both triangles are there.
        self._strips: list[tuple[int, int, Tensor]] = []
        for start in range(0, n, width):
            stop = min(start + width, n)
            strip = torch.stack([m[start:stop, start:] for m in matrices], dim=1)
            strip[:, :, stop - start :] *= 2
            self._strips.append((start, stop, strip.flatten(1).to(torch.float32)))

    def of(self, w: Tensor) -> Tensor:
        """(matrices, rows) w'Mw in float64, of rows w (rows, n) in float32."""
        total = torch.zeros((self._count, w.shape[0]), dtype=torch.float64, device=w.device)
        for start, stop, strip in self._strips:
            by_row = (w[:, start:stop] @ strip).view(w.shape[0], self._count, -1)
            total += torch.einsum("rpj,rj->pr", by_row, w[:, start:]).to(torch.float64)
        return total


class Eigenpairs(NamedTuple):
    """Eigenvalues (k, rank), largest magnitude first, and unit eigenvectors (k, n, rank) of k symmetric matrices."""

    values: Tensor
    vectors: Tensor

    def rebuilt(self) -> Tensor:
        """The matrices (k, n, n) that the pairs make up."""
        return (self.vectors * self.values[:, None]) @ self.vectors.mT


def leading(matrices: Tensor, rank: int) -> Eigenpairs:
    """Leading eigenpairs of symmetric `matrices` (k, n, n), by a randomised subspace iteration of a fixed seed.

    They are Ritz pairs: the squared norm of the rest is exactly ||M||_F^2 - sum values^2, however good they are.
    Source: Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.3.
    """
    n = matrices.shape[-1]
    width = min(rank + _SPARE, n)
    start = torch.randn((n, width), generator=torch.Generator().manual_seed(0))
    basis = matrices @ start.to(matrices)
    for _ in range(_ROUNDS):
        basis = matrices @ torch.linalg.qr(basis).Q
    basis = torch.linalg.qr(basis).Q
    inner = basis.mT @ (matrices @ basis)
    values, turn = torch.linalg.eigh((inner + inner.mT) / 2)
    order = values.abs().argsort(dim=-1, descending=True)[:, :rank]
    turn = turn.gather(-1, order[:, None, :].expand(-1, width, -1))
    return Eigenpairs(values.gather(-1, order), basis @ turn)
