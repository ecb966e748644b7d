"""Differences of paired rows, tuned - base: their mean, and the units of samples over which it is uncertain."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DataError, DegenerateInputError, ShapeError
from repdrift.similarity.arrays import Array, as_floats, centred, require_paired, require_same_device
from repdrift.similarity.uncertainty.sample_groups import group_numbers

_LARGEST = 2.0**240
"""Fourth powers of larger numbers may leave float64. float32 ends at 2^128."""


@dataclass(frozen=True, eq=False)
class Differences:
    """Rows of a base model, and how far each lies from its own row of a tuned model.

    base: (n, p), and rows: (n, p) tuned - base, in float64. units: (n,) numbers 0 to m - 1 of the unit of each row: samples that belong
    together are one unit, and single samples are a unit each. rounding: ||.||_F of what rounding of the given numbers alone can move.
    """

    base: Tensor
    rows: Tensor
    units: NDArray[np.int64]
    rounding: float = 0.0

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.rows.shape[0])

    @property
    def p(self) -> int:
        """Number of features."""
        return int(self.rows.shape[1])

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.sizes.size)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each unit: (m,)."""
        return np.bincount(self.units)

    @cached_property
    def mean(self) -> Tensor:
        """Mean difference: (p,). It points where the tuned model moved all samples in common."""
        return self.rows.mean(dim=0)

    @cached_property
    def centred(self) -> Tensor:
        """Differences without their mean: (n, p)."""
        return centred(self.rows)

    @cached_property
    def centred_base(self) -> Tensor:
        """Base rows without their mean: (n, p)."""
        return centred(self.base)

    @cached_property
    def unit_sums(self) -> Tensor:
        """Sums of differences over each unit: (m, p)."""
        return self.summed(self.rows)

    @property
    def are_zero(self) -> bool:
        """True if not one number moved."""
        return not bool(self.rows.any())

    @property
    def are_rounding(self) -> bool:
        """True if the rows moved by no more than their numbers are rounded."""
        return float(torch.linalg.vector_norm(self.rows)) <= self.rounding

    @property
    def are_one_shift(self) -> bool:
        """True if all rows moved alike, but for rounding."""
        return float(torch.linalg.vector_norm(self.centred)) <= self.rounding

    def summed(self, values: Tensor) -> Tensor:
        """Sums over the rows of each unit, of values (n, ...): (m, ...). One unit a row gives the values themselves."""
        if self.n_units == self.n:
            return values
        sums = values.new_zeros((self.n_units, *values.shape[1:]))
        return sums.index_add_(0, torch.as_tensor(self.units, device=values.device), values)


def differences(base: Array, tuned: Array, groups: Sequence[Hashable] | None = None) -> Differences:
    """Differences tuned - base of paired rows.

    base, tuned: (n, p) floats; rows are the same n samples in the same order. groups: the group of each row, such as its paragraph or the
    sample of a token; None: each row stands alone.
    Raises ShapeError if rows, features or groups do not fit, or n < 4; DataError or NonFiniteError as `as_floats` does.
    """
    x, y = as_floats(base), as_floats(tuned)
    require_paired(x.shape[0], y.shape[0])
    require_same_device(x.device, y.device)
    if x.shape[1] != y.shape[1]:
        raise ShapeError(f"differences need the same features on both sides, got {x.shape[1]} and {y.shape[1]}")
    if groups is not None and len(groups) != x.shape[0]:
        raise ShapeError(f"groups should name the group of each of {x.shape[0]} rows, got {len(groups)}")
    units = np.arange(x.shape[0], dtype=np.int64) if groups is None else group_numbers(groups)
    epsilon = max(torch.finfo(x.dtype).eps, torch.finfo(y.dtype).eps)
    x, y = x.to(torch.float64), y.to(torch.float64)
    lengths = float(torch.linalg.vector_norm(x)), float(torch.linalg.vector_norm(y))
    if not max(lengths) < _LARGEST:
        raise DataError(
            f"numbers of {max(lengths):.3g} are too large: their products leave float64. Scale both sides first."
        )
    return Differences(x, y - x, units, epsilon * max(lengths))


def mean_difference(base: Array, tuned: Array) -> Tensor:
    """Mean over samples of tuned - base: (p,) float64, in the unit of the representations. It is zero where nothing moved.

    base, tuned: (n, p) floats; rows are the same n samples in the same order. Raises what `differences` raises.
    """
    return differences(base, tuned).mean


def direction_cosine(first: Tensor, second: Tensor) -> float:
    """Cosine between two directions (p,): 1 = the same way, -1 = the opposite way.

    It is not corrected for the noise of either; `likeness_of_shifts` does that.
    Raises ShapeError if they differ in features; DegenerateInputError if one is zero, since nothing has no direction.
    """
    if first.shape != second.shape or first.dim() != 1:
        raise ShapeError(
            f"two directions of the same features are needed, got shapes {tuple(first.shape)} and {tuple(second.shape)}"
        )
    lengths = torch.linalg.vector_norm(first), torch.linalg.vector_norm(second)
    if not bool(lengths[0]) or not bool(lengths[1]):
        raise DegenerateInputError("a shift of zero has no direction: its cosine with another one is undefined")
    return float((first / lengths[0]) @ (second / lengths[1]))
