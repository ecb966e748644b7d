"""The bytes of one layer's file: what stands before and after its rows, in either payload format.

In both formats every offset is known from the start, so that rows can be written straight into the file in any order.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch._utils import _rebuild_tensor_v2

from repdrift.core.errors import ShapeError
from repdrift.core.records.representation_set import PayloadFormat
from repdrift.stores.zip_container import ALIGNMENT_BYTES, ZipAround

TENSOR_KEY = "representation"
"""The tensor's name inside a safetensors file."""


class _Dtype(NamedTuple):
    """A floating-point type, by its names in torch and in both file formats."""

    dtype: torch.dtype
    storage: str
    safetensors: str


_DTYPES = {
    "float32": _Dtype(torch.float32, "FloatStorage", "F32"),
    "bfloat16": _Dtype(torch.bfloat16, "BFloat16Storage", "BF16"),
    "float16": _Dtype(torch.float16, "HalfStorage", "F16"),
}
_MOST_BYTES = 1 << 60
_ARCHIVE = "archive"
"""The folder inside the archive. torch.save names it for the file; here it is always the same."""


def payload_dtype(name: str) -> torch.dtype:
    """The torch type called `name`. Raises ShapeError if no payload can have it."""
    if name not in _DTYPES:
        raise ShapeError(f"a payload's dtype is one of {', '.join(_DTYPES)}, got {name!r}")
    return _DTYPES[name].dtype


@dataclass(frozen=True)
class PayloadLayout:
    """The layout of a file that holds one contiguous (n_rows, width) tensor: a head, the rows, a tail.

    The rows start at a multiple of 64 bytes.
    """

    payload: PayloadFormat
    n_rows: int
    width: int
    dtype: str

    def __post_init__(self) -> None:
        if self.n_rows < 1 or self.width < 1:
            raise ShapeError(f"a layer has at least one row and one feature, got ({self.n_rows}, {self.width})")
        payload_dtype(self.dtype)
        if self.data_bytes >= _MOST_BYTES:
            raise ShapeError(
                f"a layer has less than 2^60 bytes, ({self.n_rows}, {self.width}) of {self.dtype} takes more"
            )

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.width * payload_dtype(self.dtype).itemsize

    @property
    def data_bytes(self) -> int:
        """Bytes of all rows."""
        return self.n_rows * self.row_bytes

    @property
    def head(self) -> bytes:
        """The bytes before the rows."""
        return self._archive.head if self.payload == "pt" else self._safetensors_head

    def tail(self, crc: int) -> bytes:
        """The bytes after the rows, given the rows' CRC-32. The length does not depend on `crc`."""
        return self._archive.tail(crc) if self.payload == "pt" else b""

    @cached_property
    def total_bytes(self) -> int:
        """Bytes of the file."""
        return len(self.head) + self.data_bytes + len(self.tail(0))

    def offset(self, row: int) -> int:
        """The position in the file where a row starts, in bytes."""
        return len(self.head) + row * self.row_bytes

    @cached_property
    def _archive(self) -> ZipAround:
        # Without `.format_version` torch.load never computes an offset from torch.save's own layout: it reads them here.
        small = [
            (f"{_ARCHIVE}/data.pkl", _tensor_pickle(self)),
            (f"{_ARCHIVE}/byteorder", sys.byteorder.encode()),
            (f"{_ARCHIVE}/version", b"3\n"),
        ]
        return ZipAround(small, f"{_ARCHIVE}/data/0", self.data_bytes)

    @cached_property
    def _safetensors_head(self) -> bytes:
        about = {
            "dtype": _DTYPES[self.dtype].safetensors, "shape": [self.n_rows, self.width], "data_offsets": [0, self.data_bytes],
        }  # fmt: skip
        text = json.dumps({TENSOR_KEY: about}, separators=(",", ":")).encode()
        text += b" " * (-(8 + len(text)) % ALIGNMENT_BYTES)
        return len(text).to_bytes(8, "little") + text


@dataclass(frozen=True)
class _Storage:
    kind: Any
    elements: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    shape: tuple[int, int]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_tensor_v2, (
            self.storage, 0, self.shape, (self.shape[1], 1), False, OrderedDict(),
        )  # fmt: skip


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ("storage", obj.kind, "0", "cpu", obj.elements) if isinstance(obj, _Storage) else None


def _tensor_pickle(layout: PayloadLayout) -> bytes:
    """The data.pkl that torch.save writes for a contiguous tensor of this shape, made without the tensor."""
    storage = _Storage(getattr(torch, _DTYPES[layout.dtype].storage), layout.n_rows * layout.width)
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(_Tensor(storage, (layout.n_rows, layout.width)))
    return stream.getvalue()
