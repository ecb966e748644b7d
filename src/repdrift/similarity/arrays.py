"""Checks of the arrays that come in (type, shape, finite numbers), and how they are centred and scaled."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DataError, NonFiniteError, ShapeError

Array = Tensor | NDArray[np.generic]
MIN_SAMPLES = 4
"""Unbiased HSIC divides by n (n - 3)."""

_SAFE_EXPONENT = 100
"""Between 2^-100 and 2^100 fourth powers, summed over any number of samples and features, stay inside float64."""


def as_floats(x: Array) -> Tensor:
    """Return `x` as a tensor (n, p) of its own floating type, on its device; a view if torch can make one.

    Raises DataError unless it holds floats of 16 to 64 bits, which float64 holds exactly; ShapeError unless it is a
    table of at least 4 rows; NonFiniteError if a number is NaN or Inf, naming the first.
    """
    tensor = x.detach() if isinstance(x, Tensor) else _from_numpy(x)
    if not tensor.is_floating_point() or tensor.element_size() < 2:
        raise _not_floating(tensor.dtype)
    if tensor.dim() != 2 or tensor.shape[1] == 0:
        raise ShapeError(f"a representation should be (samples, features), got shape {tuple(tensor.shape)}")
    if tensor.shape[0] < MIN_SAMPLES:
        raise ShapeError(f"at least {MIN_SAMPLES} samples are needed, got {tensor.shape[0]}")
    low, high = torch.aminmax(tensor)  # either is NaN if any number is
    if not bool(torch.isfinite(torch.stack([low, high])).all()):
        row, column = (~torch.isfinite(tensor)).nonzero()[0].tolist()
        value = float(tensor[row, column])
        raise NonFiniteError(f"sample {row}, feature {column} is {value}; all numbers must be finite")
    return tensor


def require_paired(n_x: int, n_y: int) -> None:
    """Raise ShapeError unless both sides have the same number of samples."""
    if n_x != n_y:
        raise ShapeError(f"rows must be the same samples on both sides, got {n_x} and {n_y}")


def require_same_device(x: torch.device, y: torch.device) -> None:
    """Raise DataError unless both sides lie on one device."""
    if x != y:
        raise DataError(f"both sides must lie on one device, got {x} and {y}; move one of them first")


def centred(x: Tensor) -> Tensor:
    """Return `x` (n, p) minus its column means. Do this before any product: an offset squared drowns a small drift.

    The mean is taken off twice, because the mean of large offsets is itself rounded. The second mean is of small numbers
    and is exact enough.
    """
    once = x - x.mean(dim=0)
    return once.sub_(once.mean(dim=0))


def in_range(x: Tensor) -> Tensor:
    """Return `x`, or `x` times a power of two if its fourth powers could leave float64. For scale-invariant measures only.

    A power of two changes exponents and no digits.
    """
    low, high = torch.aminmax(x)
    exponent = math.frexp(max(-float(low), float(high)))[1]
    if abs(exponent) <= _SAFE_EXPONENT:
        return x
    half = -exponent // 2  # in two steps: 2^-exponent alone can lie outside float64
    return x * math.ldexp(1.0, half) * math.ldexp(1.0, -exponent - half)


def as_orders(permutations: NDArray[np.integer], n: int, device: torch.device) -> Tensor:
    """Return permutations of n samples as an index tensor (k, n).

    Raises ShapeError unless they are integers of shape (k, n); DataError if a row is not a permutation, naming it.
    """
    orders = np.asarray(permutations)
    if orders.ndim != 2 or orders.shape[1] != n or orders.dtype.kind not in "iu":
        got = f"{orders.dtype} of shape {orders.shape}"
        raise ShapeError(f"permutations should be integers of shape (k, {n}), got {got}")
    wrong = (np.sort(orders, axis=1) != np.arange(n)).any(axis=1)
    if wrong.any():
        raise DataError(f"row {int(wrong.argmax())} of the permutations does not hold each of 0 to {n - 1} once")
    return torch.as_tensor(orders.astype(np.int64), device=device)


def _from_numpy(x: NDArray[np.generic]) -> Tensor:
    if np.ma.is_masked(x):
        raise DataError("some numbers of the representation are masked; leave their samples or features out first")
    dtype = np.asarray(x).dtype
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise _not_floating(dtype)
    # Copies only what torch cannot view: other byte orders and strides, and read-only memory such as memory maps.
    table = np.require(x, dtype=dtype.newbyteorder("="), requirements=["C", "A", "W"])
    if min(table.strides, default=0) < 0:  # a single column turned round, which numpy takes for contiguous
        table = table.copy()
    return torch.from_numpy(table)


def _not_floating(dtype: object) -> DataError:
    return DataError(f"a representation should hold floats of 16 to 64 bits, got {dtype}; convert it to float64 first")
