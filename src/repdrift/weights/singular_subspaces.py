"""The leading singular subspaces of a base matrix and a tuned one: their alignment, and the intruders among the tuned vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from repdrift.weights.gram_spectrum import (
    FloatArray,
    GramSpectrum,
    LeadingVectors,
    columns_of,
    sum_of,
)

LEADING = 10
"""Leading singular vectors that are compared (k)."""
INTRUDER_COSINE = 0.5
"""A tuned vector whose largest |cosine| with a base vector is below this is an intruder (epsilon)."""
_ROOM = 22
"""Vectors of the base beyond k that are made at once: nearly always they show that a tuned vector is no intruder."""


@dataclass(frozen=True)
class SubspaceComparison:
    """The leading k left and right singular vectors of base and tuned matrix, compared.

    k: the number compared, less than asked for where a matrix has a lower rank. alignment_left, alignment_right:
    ||U_k' V_k||_F^2 / k in [0, 1]; None where k is the whole space, in which any two agree, or where a matrix is zero.
    intruders: of the k left vectors of the tuned matrix, those whose |cosine| with every left singular vector of the base is
    below the limit; None where a matrix is zero.
    """

    k: int
    alignment_left: float | None
    alignment_right: float | None
    intruders: int | None


class BaseMatrix:
    """One matrix (d_out, d_in) of the base model, whose spectrum is computed once for all tuned models that are compared with it.

    Left vectors are those of the outputs. Raises NonFiniteError if it holds NaN or Inf.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.shape: tuple[int, int] = (matrix.shape[0], matrix.shape[1])
        self.tall = matrix.shape[0] > matrix.shape[1]
        self._columns = columns_of(matrix.T if self.tall else matrix)
        self._leading: dict[int, LeadingVectors] = {}

    @cached_property
    def spectrum(self) -> GramSpectrum:
        """The spectrum, on the smaller side."""
        return GramSpectrum(self._columns)

    def leading(self, k: int) -> LeadingVectors:
        """Returns the k largest singular values and their vectors, and some more; computed once for one k."""
        if k not in self._leading:
            self._leading[k] = self.spectrum.leading(min(k + _ROOM, *self.shape))
        return self._leading[k]

    def compared(self, change: Tensor | tuple[Tensor, Tensor], *, k: int, limit: float) -> SubspaceComparison:
        """Compares the leading singular vectors with those of this matrix plus `change`.

        change: (d_out, d_in), or the factors B (d_out, r) and A (r, d_in) of it. k: how many vectors. limit: the |cosine| below
        which a tuned vector is an intruder. Of a matrix with more outputs than inputs, and of one of lower rank, the left singular
        vectors do not span the space of outputs: a direction outside their span is none of them, and counts as an intruder.
        Source: Shuttleworth et al. 2024 (intruder dimensions).
        """
        tuned = self._plus(change).leading(k)
        base = self.leading(k)
        k = min(k, len(base.values), len(tuned.values))
        if k == 0:
            return SubspaceComparison(0, None, None, None)
        left, right = (base.long, base.short) if self.tall else (base.short, base.long)
        new_left, new_right = (tuned.long, tuned.short) if self.tall else (tuned.short, tuned.long)
        return SubspaceComparison(
            k,
            _alignment(left[:, :k], new_left[:, :k]),
            _alignment(right[:, :k], new_right[:, :k]),
            self._intruders(left, new_left[:, :k], limit),
        )

    def _plus(self, change: Tensor | tuple[Tensor, Tensor]) -> GramSpectrum:
        """The spectrum of this matrix plus `change`, on the smaller side."""
        if isinstance(change, tuple):
            b, a = (x.detach().cpu().double().numpy() for x in change)
            return self.spectrum.plus_product(a.T, b.T) if self.tall else self.spectrum.plus_product(b, a)
        return GramSpectrum(sum_of(self._columns, columns_of(change.T if self.tall else change)))

    def _intruders(self, left: FloatArray, tuned: FloatArray, limit: float) -> int:
        """Counts the columns of `tuned` that no left vector of the base is near to; `left` are the leading ones of those.

        Most are decided by the leading vectors alone: one of them is near, or what they leave of the tuned vector is too short
        for any other to be near. Only for the rest are all vectors of the base computed.
        """
        cosines = np.abs(left.T @ tuned)
        nearest = cosines.max(axis=0)
        rest = np.sqrt(np.clip(1.0 - np.square(cosines).sum(axis=0), 0.0, None))
        open_ = (nearest < limit) & (rest >= limit)
        if open_.any():
            nearest[open_] = self._cosines_with_all(tuned[:, open_]).max(axis=0)
        return int(np.count_nonzero(nearest < limit))

    def _cosines_with_all(self, tuned: FloatArray) -> FloatArray:
        values, short = self.spectrum.all_short
        if not self.tall:
            return np.abs(short.T @ tuned)
        # u_i = W v_i / s_i, so that u_i' t = v_i' (W' t) / s_i: the long vectors are never formed.
        parts = [self._columns.block(a, b) @ tuned[a:b] for a, b in self._columns.ranges()]
        return np.abs(short.T @ np.sum(parts, axis=0)) / values[:, None]


def _alignment(one: FloatArray, other: FloatArray) -> float | None:
    size, k = one.shape
    if k == size:
        return None
    return float(np.square(one.T @ other).sum() / k)
