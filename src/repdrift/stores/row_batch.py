"""One batch as the writer takes it: the rows of the set that it fills, and by site and layer the values for these rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.core.records.sites import SiteLayer
from repdrift.stores.payload import payload_dtype


class RowRange(NamedTuple):
    """`n_rows` consecutive rows of a layer, from row `first` on."""

    first: int
    n_rows: int


def row_ranges(row_index: NDArray[np.int64]) -> list[RowRange]:
    """Group (m,) ascending, distinct row numbers into ranges: ascending, with a gap between any two."""
    if not len(row_index):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(row_index) != 1) + 1])
    counts = np.diff(np.concatenate([starts, [len(row_index)]]))
    return list(map(RowRange, row_index[starts].tolist(), counts.tolist()))


@dataclass(frozen=True)
class RowBatch:
    """A checked batch.

    tensors: by site and layer (m, width), rows in the caller's order. order: (m,) positions that bring these rows into ascending
    order of their row numbers; None if they are in that order already. ranges: the rows of the set that the batch fills.
    """

    number: int
    ranges: list[RowRange]
    order: Tensor | None
    tensors: dict[SiteLayer, Tensor]
    width: int

    @classmethod
    def checked(
        cls, number: int, row_index: Tensor, tensors: Mapping[SiteLayer, Tensor], *, n_rows: int, dtype: str
    ) -> Self:  # fmt: skip
        """Check a batch for a set of `n_rows` rows.

        row_index: (m,) int64, distinct, 0 to n_rows - 1: the row of the set for each row of the tensors.
        tensors: by site and layer (m, width), finite, on the CPU.
        Raises ShapeError, and NonFiniteError naming site, layer and row of the set.
        """
        if row_index.dim() != 1 or row_index.dtype != torch.int64 or not len(row_index):
            raise ShapeError(
                f"batch {number}: the row index should be (m,) int64 with m > 0, "
                f"got {tuple(row_index.shape)} {_name(row_index.dtype)}"
            )
        if not tensors:
            raise ShapeError(f"batch {number} holds no layer: give the tensor of one layer at least")
        ascending, order = torch.sort(row_index)
        if int(ascending[0]) < 0 or int(ascending[-1]) >= n_rows:
            wrong = int(ascending[0]) if int(ascending[0]) < 0 else int(ascending[-1])
            raise ShapeError(f"batch {number}: row {wrong} is not in the set (rows 0 to {n_rows - 1})")
        twice = (ascending.diff() == 0).nonzero()
        if len(twice):
            raise ShapeError(f"batch {number}: row {int(ascending[int(twice[0])])} is there twice")
        width = next(iter(tensors.values())).shape[-1]
        for place, tensor in tensors.items():
            _check(number, place, tensor, row_index, width, dtype)
        in_order = torch.equal(ascending, row_index)
        return cls(number, row_ranges(ascending.numpy()), None if in_order else order, dict(tensors), width)

    def without(self, places: set[SiteLayer]) -> RowBatch:
        """The batch without some of its sites and layers."""
        kept = {place: tensor for place, tensor in self.tensors.items() if place not in places}
        return RowBatch(self.number, self.ranges, self.order, kept, self.width)

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def data(self, place: SiteLayer) -> memoryview:
        """The bytes of one site and layer, rows in ascending order of their row numbers."""
        tensor = self.tensors[place].detach()
        if self.order is not None:
            tensor = tensor[self.order]
        return tensor.contiguous().view(torch.uint8).reshape(-1).numpy().data


def _check(number: int, place: SiteLayer, tensor: Tensor, row_index: Tensor, width: int, dtype: str) -> None:
    if tensor.dim() != 2 or tensor.shape[0] != len(row_index) or tensor.shape[1] != width or width < 1:
        raise ShapeError(
            f"batch {number}, {place.words}: expected ({len(row_index)}, {width}), got {tuple(tensor.shape)}"
        )
    if tensor.dtype != payload_dtype(dtype) or tensor.device.type != "cpu":
        raise ShapeError(
            f"batch {number}, {place.words}: expected {dtype} on cpu, got {_name(tensor.dtype)} on {tensor.device}"
        )
    # One pass without a copy, six times as fast as isfinite().all(): NaN comes through both, Inf through one of them.
    least, most = torch.aminmax(tensor)
    if not bool(torch.isfinite(least) & torch.isfinite(most)):
        row = int(row_index[int((~torch.isfinite(tensor).all(dim=1)).nonzero()[0])])
        raise NonFiniteError(f"{place.words}, row {row}: NaN or Inf in the representation")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
