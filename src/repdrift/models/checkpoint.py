"""The tensors in a checkpoint's safetensors files, read one by one.

The files are read, not mapped into memory: limits and containers count a mapping as memory of the process, and layer-major
extraction is for models that are larger than that memory.
"""

from __future__ import annotations

import json
import math
import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.core.reading import reading_errors
from repdrift.core.refusals import refused_reading
from repdrift.models.model_files import ModelSource, weight_files
from repdrift.models.wrapper_names import adapter_part, unwrapped_name, wrappers_in

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""The types in which a model can be run, by name."""

_STORED_DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_LONGEST_HEADER = 100_000_000  # the format's own bound

USE_SAMPLE_MAJOR = "Use the sample-major schedule (--schedule sample)"
"""The next step for a model that cannot be read block by block."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor in a file: `start` is its first byte in the file `path`, `stored_dtype` is safetensors' name of its dtype."""

    name: str
    path: Path
    stored_dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_floating_point(self) -> bool:
        """True if the tensor is cast when the model is loaded in another dtype."""
        return self.stored_dtype.startswith(("F", "BF"))

    def read(self, dtype: torch.dtype | None = None) -> Tensor:
        """Returns the tensor in `dtype`, in memory that goes back to the system when it is freed.

        dtype: None means the stored one. Raises ModelError if the file cannot be read, is truncated, or holds a dtype that
        is not one of safetensors' ordinary numbers.
        """
        if self.stored_dtype not in _STORED_DTYPES:
            raise ModelError(
                f"{self.path}: tensor {self.name} is stored as {self.stored_dtype}; expected one of "
                f"{', '.join(_STORED_DTYPES)}. Quantised checkpoints are not read block by block. {USE_SAMPLE_MAJOR}."
            )
        stored = _unheaped(self.shape, _STORED_DTYPES[self.stored_dtype])
        data = stored.reshape(-1).view(torch.uint8)
        with reading_errors(self.path, ModelError, "Copy or download it again."), self.path.open("rb") as stream:
            stream.seek(self.start)
            read = stream.readinto(data.numpy().data)
        if read != self.nbytes:
            raise ModelError(
                f"{self.path} is truncated: tensor {self.name} needs {self.nbytes} bytes, {read} are there. "
                "Copy or download it again."
            )
        if dtype is None or dtype == stored.dtype:
            return stored
        return _unheaped(self.shape, dtype).copy_(stored)


def stored_tensors(source: ModelSource) -> dict[str, StoredTensor]:
    """Returns every tensor of the checkpoint by its name; only the files' headers are read.

    In the names of a full model, parts that wrappers put there (torch.compile, DDP, FSDP) are taken off.
    Raises ModelError if the source is a GGUF file, a shard is missing, a file is truncated or no safetensors file, a tensor
    is empty, or the tensors are those of a model with an adapter in it.
    """
    if source.gguf_file:
        raise ModelError(
            f"{source.ref!r} is a GGUF file ({source.gguf_file}), which is only dequantised as a whole. "
            f"{USE_SAMPLE_MAJOR}, or convert the file to safetensors."
        )
    tensors = [tensor for path in weight_files(source) for tensor in _header(path)]
    _require_filled(source, tensors)
    if source.is_adapter:
        return {tensor.name: tensor for tensor in tensors}
    left = adapter_part(tensor.name for tensor in tensors)
    if left is not None:
        raise ModelError(
            f"{source.path} holds a model with an adapter in it that was not merged ({left}): loaded as a full model, it would lose "
            "the adapter. Save the adapter by itself (save_pretrained of the PEFT model), or merge it first (merge_and_unload)."
        )
    found: dict[str, StoredTensor] = {}
    for tensor in tensors:
        name = unwrapped_name(tensor.name)
        if name in found:
            raise ModelError(
                f"{source.path} holds tensor {name} twice, as {found[name].name} and as {tensor.name}. Which one is the model's? "
                "Save it again with save_pretrained."
            )
        found[name] = tensor
    return {name: replace(tensor, name=name) for name, tensor in found.items()}


def wrapper_parts(source: ModelSource) -> list[str]:
    """Returns the parts of the tensors' names that `stored_tensors` takes off; [] for most checkpoints.

    Raises ModelError as `stored_tensors` does.
    """
    if source.gguf_file or source.is_adapter:
        return []
    return wrappers_in(tensor.name for path in weight_files(source) for tensor in _header(path))


def _require_filled(source: ModelSource, tensors: list[StoredTensor]) -> None:
    if not tensors:
        raise ModelError(f"{source.path}: its weight files hold no tensor at all. Copy or save the model again.")
    flat = next((tensor.name for tensor in tensors if "_flat_param" in tensor.name), None)
    if flat is not None:
        raise ModelError(
            f"{source.path} holds FSDP's flat parameters ({flat}), which only the run that saved them can take apart. Save the model "
            "there with a full state dict (fsdp_state_dict_type FULL_STATE_DICT)."
        )
    empty = [tensor.name for tensor in tensors if not tensor.numel]
    if empty:
        raise ModelError(
            f"{source.path}: {len(empty)} of {len(tensors)} tensors are empty (size 0): {', '.join(empty[:3])}. A model that ZeRO-3 or "
            "FSDP keeps in parts is saved so if its parts are not gathered first. Save it again with the weights gathered "
            "(stage3_gather_16bit_weights_on_model_save; FULL_STATE_DICT), or merge the parts with zero_to_fp32.py."
        )


def estimated_bytes(source: ModelSource, dtype: str = "float32") -> int:
    """Estimates the bytes of memory that the weights in `source` take in `dtype`, from the files' headers alone.

    Raises ModelError if `dtype` is unknown, the source is a GGUF file, a shard is missing, or a file is truncated or no
    safetensors file.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    itemsize = DTYPES[dtype].itemsize
    tensors = stored_tensors(source).values()
    return sum(tensor.numel * itemsize if tensor.is_floating_point else tensor.nbytes for tensor in tensors)


def _unheaped(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Returns an uninitialised tensor in a memory mapping of its own, which goes back to the system whole.

    In the allocator's heap, where blocks of weights come and go, tensors that live longer settle in the gaps. Then the
    process's memory grows with depth (measured: by 10 MB for each block of 25 MB).
    """
    size = math.prod(shape) * dtype.itemsize
    if size < mmap.PAGESIZE:
        return torch.empty(shape, dtype=dtype)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    try:
        memory = mmap.mmap(-1, size, **private)
    except OSError as error:
        raise MemoryError(f"cannot allocate {size} bytes for a weight: {error}") from error
    return torch.frombuffer(memory, dtype=dtype).reshape(shape)


def _header(path: Path) -> list[StoredTensor]:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not size:
                raise ModelError(
                    f"{path} is empty (0 bytes). Was the run stopped while it saved? Copy or download it again."
                )
            if length.to_bytes(8, "little") == b"version ":
                raise ModelError(
                    f"{path} is a pointer of Git LFS, in place of the weights. Run `git lfs pull` in its folder, or download it anew."
                )
            if not 2 <= length <= _LONGEST_HEADER:
                raise ModelError(f"{path} is no safetensors file: its header would be {length} bytes long")
            text = stream.read(length)
        if len(text) < length:
            raise ModelError(
                f"{path} is truncated: its header should be {length} bytes, {len(text)} are there. Copy or download it again."
            )
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        found = [
            StoredTensor(
                name,
                path,
                _text(entry["dtype"]),
                tuple(_counts(entry["shape"])),
                8 + length + _counts(entry["data_offsets"])[0],
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in entries.items()
        ]
    except OSError as error:
        raise ModelError(refused_reading(path, error, "Copy or download it again.")) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{path} is no safetensors file: its header cannot be read ({type(error).__name__})"
        ) from error
    end = max((tensor.start + tensor.nbytes for tensor in found), default=0)
    if size < end:
        raise ModelError(f"{path} is truncated: {end} bytes expected, {size} found. Copy or download it again.")
    wrong = next((t for t in found if t.stored_dtype in _STORED_DTYPES and t.nbytes != _expected_bytes(t)), None)
    if wrong is not None:
        raise ModelError(f"{path}: tensor {wrong.name} has {wrong.nbytes} bytes, {_expected_bytes(wrong)} expected")
    _require_gapless(path, found, 8 + length, size)
    return found


def _counts(values: Any) -> list[int]:
    """Returns the entry of a header if it is a list of whole numbers from 0. Raises TypeError if not."""
    if not isinstance(values, list) or any(type(value) is not int or value < 0 for value in values):
        raise TypeError("not a list of whole numbers")
    return values


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _require_gapless(path: Path, tensors: list[StoredTensor], start: int, size: int) -> None:
    """Raises ModelError unless the tensors follow each other from `start` to the end of the file, as the format demands."""
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.nbytes)):
        if tensor.start != start or tensor.nbytes < 0:
            raise ModelError(
                f"{path} is damaged: tensor {tensor.name} begins at byte {tensor.start:,}, expected {start:,}. Copy it again."
            )
        start += tensor.nbytes
    if start != size:
        raise ModelError(
            f"{path} is damaged: its tensors end at byte {start:,}, and the file at {size:,}. Copy it again."
        )


def _expected_bytes(tensor: StoredTensor) -> int:
    return tensor.numel * _STORED_DTYPES[tensor.stored_dtype].itemsize
