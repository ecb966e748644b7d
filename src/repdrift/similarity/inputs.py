"""What every measure checks before it computes: shapes, finite numbers, variation; then float64."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError

Representation = Tensor | NDArray[np.generic]
MIN_SAMPLES = 4
"""Unbiased HSIC divides by n (n - 3)."""


def as_float64(x: Representation) -> Tensor:
    """`x` as a float64 tensor of shape (n, p) on its device.

    Raises ShapeError unless it is a table of at least 4 rows, NonFiniteError naming the first NaN or Inf,
    DegenerateInputError if all rows are equal.
    """
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(np.ascontiguousarray(x))
    if tensor.dim() != 2 or tensor.shape[1] == 0:
        raise ShapeError(f"a representation should be (samples, features), got shape {tuple(tensor.shape)}")
    if tensor.shape[0] < MIN_SAMPLES:
        raise ShapeError(f"at least {MIN_SAMPLES} samples are needed, got {tensor.shape[0]}")
    tensor = tensor.detach().to(torch.float64)
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        row, column = (~finite).nonzero()[0].tolist()
        raise NonFiniteError(
            f"sample {row}, feature {column} is {float(tensor[row, column])}; all numbers must be finite"
        )
    if bool((tensor == tensor[:1]).all()):
        raise DegenerateInputError(
            f"all {tensor.shape[0]} samples have the same representation: similarity is undefined"
        )
    return tensor


def require_paired(n_x: int, n_y: int) -> None:
    """Raises ShapeError unless both sides have the same number of samples."""
    if n_x != n_y:
        raise ShapeError(f"rows must be the same samples on both sides, got {n_x} and {n_y}")


def centred(x: Tensor) -> Tensor:
    """`x` minus its column means, in float64. Centred before any product: an offset squared drowns a small drift."""
    shifted = x - x[:1]  # exact for a constant offset, so that the mean of what is left loses nothing
    return shifted - shifted.mean(dim=0)
