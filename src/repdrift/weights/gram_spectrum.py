"""Singular values and vectors of a large matrix from the Gram matrix of its smaller side, in float64.

That takes the time of two products instead of a singular value decomposition, and memory for the Gram matrix alone. It squares the
condition number: a singular value s has a relative error of about 1e-16 (s_1 / s)^2, so what lies below `NULL` of the
largest is taken for zero. Leading vectors and sums of squares are as exact as from a decomposition (see docs/explanation/weights.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk  # pyright: ignore[reportAttributeAccessIssue]
from torch import Tensor

from repdrift.core.errors import NonFiniteError

FloatArray = NDArray[np.float64]

NULL = 1e-6
"""Singular values up to this share of the largest count as zero."""
_CANCELLED = 1e-3
"""Share of the squared norm of the base below which a Gram matrix that was made by adding terms has lost digits."""
_BLOCK_BYTES = 1 << 23


@dataclass(frozen=True)
class Columns:
    """A matrix of (p, q), read as blocks of columns in float64, so that it is never whole in that type.

    block: (first, behind the last) to the columns between. The smaller side should be p.
    """

    shape: tuple[int, int]
    block: Callable[[int, int], FloatArray]

    def ranges(self) -> list[tuple[int, int]]:
        """Returns the limits of blocks that take little memory each."""
        p, q = self.shape
        width = max(64, _BLOCK_BYTES // (8 * p))
        return [(start, min(start + width, q)) for start in range(0, q, width)]


def columns_of(matrix: Tensor, scale: float = 1.0) -> Columns:
    """Returns `matrix` (p, q), of any floating type, divided by `scale`, as blocks of columns."""
    p, q = matrix.shape

    def block(start: int, stop: int) -> FloatArray:
        part: FloatArray = matrix[:, start:stop].detach().to(device="cpu", dtype=torch.float64, copy=True).numpy()
        part /= scale
        return part

    return Columns((p, q), block)


def sum_of(one: Columns, other: Columns) -> Columns:
    """Returns the sum of two matrices of one shape."""

    def block(start: int, stop: int) -> FloatArray:
        part = one.block(start, stop)
        part += other.block(start, stop)
        return part

    return Columns(one.shape, block)


def product_of(b: FloatArray, a: FloatArray) -> Columns:
    """Returns b @ a, b (p, r) and a (r, q), a block of columns at a time."""
    return Columns((b.shape[0], a.shape[1]), lambda start, stop: b @ a[:, start:stop])


@dataclass(frozen=True)
class LeadingVectors:
    """The k largest singular values, descending, and their vectors as columns: `short` (p, k), `long` (q, k)."""

    values: FloatArray
    short: FloatArray
    long: FloatArray

    def first(self, k: int) -> LeadingVectors:
        """Returns the k largest of them."""
        return LeadingVectors(self.values[:k], self.short[:, :k], self.long[:, :k])


class GramSpectrum:
    """The spectrum of a matrix (p, q), p <= q. Raises NonFiniteError if it holds NaN or Inf.

    gram: its Gram matrix, if it is known; of it the upper triangle is read.
    """

    def __init__(self, matrix: Columns, gram: FloatArray | None = None) -> None:
        self.matrix = matrix
        self._gram = self._made() if gram is None else gram
        if not np.isfinite(np.trace(self._gram)):
            raise NonFiniteError("NaN or Inf in the weights")

    def _made(self) -> FloatArray:
        p = self.matrix.shape[0]
        total = np.zeros((p, p), order="F")
        for start, stop in self.matrix.ranges():
            block = self.matrix.block(start, stop)
            # The upper triangle of block block', from the block as it lies in memory: a turned view is not copied.
            if block.flags.f_contiguous:
                total = dsyrk(1.0, block, beta=1.0, c=total, overwrite_c=1)
            else:
                total = dsyrk(1.0, np.ascontiguousarray(block).T, beta=1.0, c=total, trans=1, overwrite_c=1)
        return total

    def plus_product(self, b: FloatArray, a: FloatArray) -> GramSpectrum:
        """Returns the spectrum of this matrix plus b @ a, b (p, r) and a (r, q), in a time that grows with r and not with p.

        (M + B A)(M + B A)' = M M' + C B' + B C' + B A A' B' with C = M A'. Where that cancels nearly all of M M', it is made anew.
        """
        whole = sum_of(self.matrix, product_of(b, a))
        crossed = np.sum([self.matrix.block(i, j) @ a[:, i:j].T for i, j in self.matrix.ranges()], axis=0) @ b.T
        gram = np.asfortranarray(self._gram + crossed + crossed.T + b @ (a @ a.T) @ b.T)
        cancelled = not np.trace(gram) > _CANCELLED * self.squared_norm
        return GramSpectrum(whole, None if cancelled else gram)

    @property
    def squared_norm(self) -> float:
        """||matrix||_F^2."""
        return float(np.trace(self._gram))

    def singular_values(self) -> FloatArray:
        """Returns all p singular values, descending."""
        squares = scipy.linalg.eigvalsh(self._gram, lower=False, check_finite=False)
        return np.sqrt(np.clip(squares[::-1], 0.0, None))

    def leading(self, k: int) -> LeadingVectors:
        """Returns the k largest singular values and their vectors; fewer where the rank is lower."""
        p = self.matrix.shape[0]
        squares, vectors = scipy.linalg.eigh(
            self._gram, lower=False, check_finite=False, subset_by_index=[max(0, p - k), p - 1]
        )
        values = np.sqrt(np.clip(squares[::-1], 0.0, None))
        kept = int(np.count_nonzero(values > NULL * values[0])) if values[0] > 0.0 else 0
        short = vectors[:, ::-1][:, :kept]
        return LeadingVectors(values[:kept], short, self.long_vectors(short, values[:kept]))

    def long_vectors(self, short: FloatArray, values: FloatArray) -> FloatArray:
        """Returns the vectors (q, k) of the longer side that belong to `short` (p, k): M' u / s."""
        parts = [self.matrix.block(start, stop).T @ short for start, stop in self.matrix.ranges()]
        return np.concatenate(parts) / values

    @cached_property
    def all_short(self) -> tuple[FloatArray, FloatArray]:
        """All singular values above zero, descending, and their vectors (p, r) of the shorter side."""
        squares, vectors = scipy.linalg.eigh(self._gram, lower=False, check_finite=False, driver="evd")
        values = np.sqrt(np.clip(squares[::-1], 0.0, None))
        kept = int(np.count_nonzero(values > NULL * values[0])) if values[0] > 0.0 else 0
        return values[:kept], vectors[:, ::-1][:, :kept]
