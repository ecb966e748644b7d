"""The file of one layer as bytes: what stands before and after its rows, in either payload format.

Both formats are final from the first byte on, so that rows can be written straight to their places in any order.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch._utils import _rebuild_tensor_v2

from repdrift.core.errors import ShapeError
from repdrift.core.records.representation_set import PayloadFormat
from repdrift.stores.names import TENSOR_KEY
from repdrift.stores.zip_container import ALIGNMENT_BYTES, ZipAround

_DTYPES: dict[str, tuple[torch.dtype, str, str]] = {
    "float32": (torch.float32, "FloatStorage", "F32"),
    "bfloat16": (torch.bfloat16, "BFloat16Storage", "BF16"),
    "float16": (torch.float16, "HalfStorage", "F16"),
}
_ARCHIVE = "archive"
"""torch.save would name the folder inside the archive for the file; here it is always the same."""


def payload_dtype(name: str) -> torch.dtype:
    """The torch type called `name`. Raises ShapeError if no payload has it."""
    if name not in _DTYPES:
        raise ShapeError(f"a payload's dtype is one of {', '.join(_DTYPES)}, got {name!r}")
    return _DTYPES[name][0]


@dataclass(frozen=True)
class PayloadLayout:
    """A file that holds one contiguous (rows, width) tensor: `head`, then the rows from a multiple of 64 on, then a tail."""

    payload: PayloadFormat
    rows: int
    width: int
    dtype: str

    def __post_init__(self) -> None:
        if self.rows < 1 or self.width < 1:
            raise ShapeError(f"a layer has at least one row and one feature, got ({self.rows}, {self.width})")
        payload_dtype(self.dtype)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.width * payload_dtype(self.dtype).itemsize

    @property
    def data_bytes(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.row_bytes

    @property
    def head(self) -> bytes:
        """What stands before the rows."""
        return self._archive.head if self.payload == "pt" else self._safetensors_head

    def tail(self, crc: int) -> bytes:
        """What follows the rows, whose CRC-32 is `crc`; always equally long."""
        return self._archive.tail(crc) if self.payload == "pt" else b""

    @cached_property
    def total_bytes(self) -> int:
        """Bytes of the file."""
        return len(self.head) + self.data_bytes + len(self.tail(0))

    def offset(self, row: int) -> int:
        """Where a row starts in the file, in bytes."""
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
            "dtype": _DTYPES[self.dtype][2], "shape": [self.rows, self.width], "data_offsets": [0, self.data_bytes],
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
    """What torch.save writes as data.pkl for a contiguous tensor of this shape; no memory is taken for the tensor."""
    storage = _Storage(getattr(torch, _DTYPES[layout.dtype][1]), layout.rows * layout.width)
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(_Tensor(storage, (layout.rows, layout.width)))
    return stream.getvalue()
