"""Inner products <dW_i, dW_j> of the changes that several models made to one weight, without forming B A of an adapter.

whole, whole      the sum of products of entries, in blocks of float64
factors, factors  tr((B1' B2)(A2 A1')), from two matrices of rank x rank
whole, factors    tr(A (dW' B)), a block of rows of dW at a time
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.weights.changed_matrix import ChangedMatrix, MatrixFactors, MatrixReader

FloatArray = NDArray[np.float64]

MOST_BYTES = 1 << 30
"""Whole changes of one weight that are held at once take no more than this, beside the one that is being read."""
_BLOCK = 1 << 18
"""Entries of each whole change that are in float64 at once."""


def inner_products(readers: Mapping[int, MatrixReader], count: int, *, most_bytes: int = MOST_BYTES) -> FloatArray:
    """Returns <dW_i, dW_j> of `count` models for one weight: (count, count) float64, symmetric.

    readers: by the number of the model. NaN stands where a model has no reader, or two changes have different shapes. Whole changes are held in
    tiles of `most_bytes`; models behind a tile are read one at a time for it, and again for the next one.
    """
    found = np.full((count, count), np.nan)
    factored: dict[int, ChangedMatrix] = {}
    pending = sorted(readers)
    while pending:
        tile: dict[int, Tensor] = {}
        later: list[int] = []
        held = 0
        for number in pending:
            at = readers[number]()
            if at.factors is not None:
                factored[number] = at
                continue
            change = at.change()
            if not later and (not tile or held + _bytes(change) <= most_bytes):
                tile[number] = change
                held += _bytes(change)
            else:
                later.append(number)
                for other, theirs in tile.items():
                    if theirs.shape == change.shape:
                        _put(found, number, other, _product(change, theirs))
            del at, change  # else it would be held while the next one is read
        _within(found, tile)
        _with_factors(found, tile, factored)
        pending = later
    _between_factors(found, factored)
    return found


def _within(found: FloatArray, tile: Mapping[int, Tensor]) -> None:
    for shape in {change.shape for change in tile.values()}:
        numbers = [number for number, change in tile.items() if change.shape == shape]
        flat = [tile[number].reshape(-1) for number in numbers]
        total = torch.zeros((len(numbers), len(numbers)), dtype=torch.float64)
        for start in range(0, flat[0].numel(), _BLOCK):
            block = torch.stack([part[start : start + _BLOCK].double() for part in flat])
            total += block @ block.T
        found[np.ix_(numbers, numbers)] = total.numpy()


def _with_factors(found: FloatArray, tile: Mapping[int, Tensor], factored: Mapping[int, ChangedMatrix]) -> None:
    for number, change in tile.items():
        fitting = [other for other, at in factored.items() if at.base_shape == tuple(change.shape)]
        if not fitting:
            continue
        parts = [_factors(factored[other]) for other in fitting]
        b, a = torch.cat([part.b for part in parts], dim=1), torch.cat([part.a for part in parts])
        columns = torch.zeros(b.shape[1], dtype=torch.float64)
        rows = max(1, _BLOCK // change.shape[1])
        for start in range(0, change.shape[0], rows):
            columns += ((change[start : start + rows].double() @ a.T) * b[start : start + rows]).sum(dim=0)
        for other, part in zip(fitting, columns.split([part.rank for part in parts]), strict=True):
            _put(found, number, other, float(part.sum()))


def _between_factors(found: FloatArray, factored: Mapping[int, ChangedMatrix]) -> None:
    for shape in {at.base_shape for at in factored.values()}:
        numbers = [number for number, at in factored.items() if at.base_shape == shape]
        parts = [_factors(factored[number]) for number in numbers]
        b, a = torch.cat([part.b for part in parts], dim=1), torch.cat([part.a for part in parts])
        products = (b.T @ b) * (a @ a.T)
        ends = np.cumsum([0, *(part.rank for part in parts)])
        for i, one in enumerate(numbers):
            for j, other in enumerate(numbers):
                found[one, other] = float(products[ends[i] : ends[i + 1], ends[j] : ends[j + 1]].sum())


def _product(one: Tensor, other: Tensor) -> float:
    x, y = one.reshape(-1), other.reshape(-1)
    blocks = range(0, x.numel(), _BLOCK)
    return sum(float(torch.dot(x[at : at + _BLOCK].double(), y[at : at + _BLOCK].double())) for at in blocks)


def _put(found: FloatArray, one: int, other: int, value: float) -> None:
    found[one, other] = found[other, one] = value


def _factors(at: ChangedMatrix) -> MatrixFactors:
    if at.factors is None:
        raise AssertionError("a change in factors was expected")
    return at.factors


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
