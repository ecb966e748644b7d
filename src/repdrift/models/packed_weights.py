"""Weights that bitsandbytes packed, as ordinary numbers: read from the files by the definition of its formats, without the library.

4 bits (Dettmers et al. 2023): two numbers a byte, the first in the upper half, each a place in a table, times the scale of its group; the
scales may be packed themselves, in 8 bits. 8 bits (Dettmers et al. 2022): a row's whole numbers times its largest size / 127.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.models.checkpoint import DTYPES, StoredTensor

_STATE = ".quant_state.bitsandbytes__"
_ROW_SCALES = "SCB"
_DTYPES = {**DTYPES, "float64": torch.float64}
_PARTS = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")
_LARGEST_STATE = 1 << 16  # bytes of its description; it is about 200


@dataclass(frozen=True)
class PackedWeight:
    """One packed weight. bits: 4 or 8. dtype: the type that it is multiplied in. parts: the names of all tensors that belong to it."""

    name: str
    bits: int
    shape: tuple[int, ...]
    dtype: str
    parts: tuple[str, ...]
    _tensors: Mapping[str, StoredTensor]
    _state: Mapping[str, Any]

    def read(self) -> Tensor:
        """Returns the numbers, in `dtype`. Raises ModelError if the parts do not belong together."""
        try:
            return self._eight() if self.bits == 8 else self._four()
        except (RuntimeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(str(error)) from error

    def _eight(self) -> Tensor:
        scales = self._tensors[_ROW_SCALES].read().float()
        return self._tensors["weight"].read().float() * (scales.reshape(-1, 1) / 127)

    def _four(self) -> Tensor:
        scales = self._tensors["absmax"].read()
        if "nested_absmax" in self._tensors:
            outer = self._tensors["nested_absmax"].read().float()
            places = self._tensors["nested_quant_map"].read().float()[scales.reshape(-1).int()]
            groups = _spread(outer, int(self._state["nested_blocksize"]), places.numel())
            scales = places * groups + float(self._state["nested_offset"])
        flat = self._tensors["weight"].read().reshape(-1).view(torch.uint8)
        table = self._tensors["quant_map"].read().float()
        number = math.prod(self.shape)
        values = table[torch.stack([flat >> 4, flat & 15], dim=1).reshape(-1)[:number].int()]
        values *= _spread(scales.float(), int(self._state["blocksize"]), number)
        return values.reshape(self.shape).to(_DTYPES[self.dtype])

    def _damaged(self, why: str) -> ModelError:
        return ModelError(
            f"{self._tensors['weight'].path}: the packed weight {self.name} cannot be read ({why}): its parts do not belong together. Copy or "
            "download the files again."
        )


def packed_weights(stored: Mapping[str, StoredTensor]) -> dict[str, PackedWeight]:
    """Finds the weights that bitsandbytes packed in 4 or 8 bits, by name. Raises ModelError if the description of one cannot be read."""
    found: dict[str, PackedWeight] = {}
    for name in stored:
        weight, mark, _ = name.partition(_STATE)
        if mark and weight in stored:
            found[weight] = _four_bits(weight, name, stored)
        owner, _, last = name.rpartition(".")
        weight = f"{owner}.weight"
        if last == _ROW_SCALES and weight in stored and stored[weight].stored_dtype == "I8":
            tensors = {"weight": stored[weight], _ROW_SCALES: stored[name]}
            parts = (weight, name, f"{owner}.weight_format")
            found[weight] = PackedWeight(weight, 8, stored[weight].shape, "float32", parts, tensors, {})
    return found


def _four_bits(weight: str, description: str, stored: Mapping[str, StoredTensor]) -> PackedWeight:
    tensors = {part: stored[f"{weight}.{part}"] for part in _PARTS if f"{weight}.{part}" in stored}
    tensors["weight"] = stored[weight]
    try:
        if stored[description].nbytes > _LARGEST_STATE:
            raise ValueError(f"{stored[description].nbytes:,} bytes long")
        state: dict[str, Any] = json.loads(bytes(stored[description].read().tolist()))
        shape = tuple(int(size) for size in state["shape"])
        if state["dtype"] not in _DTYPES or min(shape) < 1 or (math.prod(shape) + 1) // 2 != stored[weight].nbytes:
            raise ValueError(f"{shape} of {state['dtype']} in {stored[weight].nbytes} bytes")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelError(
            f"{stored[description].path}: {description} does not describe a packed weight ({error}). Copy or download the files again."
        ) from error
    parts = (weight, description, *(f"{weight}.{part}" for part in _PARTS))
    return PackedWeight(weight, 4, shape, state["dtype"], parts, tensors, state)


def _spread(scales: Tensor, block: int, number: int) -> Tensor:
    """Each scale for its group of `block` numbers. Raises ValueError before memory is taken if they are not those of `number` numbers."""
    if block < 1 or scales.numel() != -(-number // block):
        raise ValueError(f"{scales.numel()} scales of groups of {block} for {number} numbers")
    return scales.reshape(-1).repeat_interleave(block)[:number]
