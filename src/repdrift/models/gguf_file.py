"""The header of a GGUF file: architecture, precision, tensors; and what in it transformers would not read.

The header is read here, since the reader of the package gguf takes seconds for it (measured: 3 s for 49,152 tokens, 0.1 s here).
"""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from repdrift.core.errors import MissingDependencyError, ModelError
from repdrift.core.reading import reading_errors
from repdrift.models.third_party import loader_errors

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
CHECKED_ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2")
"""Architectures whose hidden states from a GGUF file are held to those of the model itself by the tests of this project."""
_PLAIN = ("F32", "F16", "BF16", "F64")
_MOST_BYTES = 1 << 30
"""Limit for one string or array of the header; a longer one comes from a damaged file."""


@dataclass(frozen=True)
class GgufTensor:
    """One tensor. shape: slowest axis first. precision: the name of its ggml type, for example Q4_1. nbytes: its size."""

    name: str
    shape: tuple[int, ...]
    precision: str
    nbytes: int
    offset: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class GgufHeader:
    """The header of the file `path`. metadata: numbers and texts by key; arrays are left out."""

    path: Path
    metadata: dict[str, Any]
    tensors: tuple[GgufTensor, ...]

    @property
    def architecture(self) -> str:
        """The name that llama.cpp gives the architecture."""
        return str(self.metadata.get("general.architecture", "none"))

    @property
    def precision(self) -> str:
        """The ggml types of the matrices, the commonest first, for example "Q4_1 and Q8_0"."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors:
            if len(tensor.shape) > 1:
                counts[tensor.precision] += tensor.numel
        return " and ".join(name for name, _ in counts.most_common(3)) or "F32"

    @property
    def is_quantised(self) -> bool:
        """True if any tensor is stored in fewer bits than a floating-point number has."""
        return any(tensor.precision not in _PLAIN for tensor in self.tensors)


def is_gguf(path: Path) -> bool:
    """True if the file is called .gguf, or begins as a GGUF file does."""
    if path.suffix.lower() == ".gguf":
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _MAGIC
    except OSError:
        return False


def gguf_files(folder: Path) -> list[str]:
    """Returns the names of the GGUF files in `folder` that hold a language model; image projectors are left out."""
    with reading_errors(folder, ModelError):
        files = sorted(path for path in folder.iterdir() if path.match("*.gguf") and path.is_file())
    return [path.name for path in files if not path.name.lower().startswith("mmproj")]


def read_gguf_header(path: Path) -> GgufHeader:
    """Reads the header of the GGUF file `path`; the tensors stay where they are.

    Raises ModelError if it is no GGUF file, or damaged or truncated; MissingDependencyError without the package gguf.
    """
    with reading_errors(path, ModelError, "Copy or download it again."):
        stat = path.stat()
    return _header(path, stat.st_size, stat.st_mtime_ns)


def require_loadable(header: GgufHeader) -> None:
    """Raises ModelError if the file is a part, an adapter, or says what transformers would leave out on loading.

    Then the hidden states would not be those of the model in the file.
    """
    parts = header.metadata.get("split.count") or 0
    if parts > 1 or re.search(r"-\d{5}-of-\d{5}\.gguf$", header.path.name):
        raise ModelError(
            f"{header.path} is one of the {parts or 'several'} parts of a split GGUF file, which are not joined here. Join them with "
            "llama.cpp's llama-gguf-split, and give the result."
        )
    if header.metadata.get("general.type") == "adapter":
        raise ModelError(
            f"{header.path} is an adapter in GGUF, which is not read. Give the PEFT adapter from which it was converted."
        )
    unread = _unread_rotation(header)
    if unread:
        raise ModelError(
            f"{header.path} scales its rotary positions ({unread}), and transformers does not read that from a GGUF file: the hidden "
            "states would be those of another model. Give the model as safetensors."
        )


def require_all_loaded(header: GgufHeader, loaded: int) -> None:
    """Raises ModelError unless the backbone took every number of the file. loaded: numbers in the backbone's parameters.

    transformers leaves tensors out that it has no place for, without a word.
    """
    held = sum(tensor.numel for tensor in header.tensors if not _is_head(tensor.name))
    if held != loaded:
        raise ModelError(
            f"{header.path} holds {held} weights outside its head, and the model that transformers makes of it takes {loaded}: "
            f"this variant of {header.architecture!r} is not read whole. Give the model as safetensors."
        )


def _is_head(name: str) -> bool:
    return name.startswith(("output.", "cls.", "mm.", "rope_"))


def _unread_rotation(header: GgufHeader) -> str | None:
    tensors = [tensor.name for tensor in header.tensors if "rope_f" in tensor.name]
    keys = [
        f"{key.partition('.')[2]} = {value}"
        for key, value in header.metadata.items()
        if key.endswith(("rope.scaling.type", "rope.scale_linear", "rope.scaling.factor"))
        and value not in ("none", "default", 1.0, 0.0)
    ]
    return ", ".join([*keys, *tensors[:2]]) or None


@lru_cache(maxsize=16)
def _header(path: Path, size: int, _modified_ns: int) -> GgufHeader:
    types = _types()
    with loader_errors(f"cannot read {path}"), path.open("rb") as stream, _whole(path):
        if stream.read(4) != _MAGIC:
            raise ModelError(
                f"{path} is no GGUF file: it does not begin with the letters GGUF. Copy or download it again."
            )
        version, n_tensors, n_fields = _unpack(stream, "IQQ")
        if version not in _VERSIONS:
            raise ModelError(
                f"{path} is GGUF of version {version}; versions 2 and 3 are read. Convert it with llama.cpp."
            )
        metadata: dict[str, Any] = {}
        for _ in range(n_fields):
            key = _text(stream)
            value = _value(stream, _unpack(stream, "I")[0])
            if value is not None:
                metadata[key] = value
        tensors = tuple(_tensor(stream, types, path) for _ in range(n_tensors))
        alignment = int(metadata.get("general.alignment", 32))
        start = -(-stream.tell() // alignment) * alignment
    end = start + max((tensor.offset + tensor.nbytes for tensor in tensors), default=0)
    if size < end:
        raise ModelError(f"{path} is truncated: {end} bytes expected, {size} found. Copy or download it again.")
    if not tensors:
        raise ModelError(
            f"{path} holds no tensors, so it is no model (a vocabulary alone?). Give the file with the weights."
        )
    return GgufHeader(path, metadata, tensors)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (struct.error, UnicodeDecodeError, EOFError, OverflowError, MemoryError) as error:
        raise ModelError(
            f"{path} is truncated or damaged: its header cannot be read. Copy or download it again."
        ) from error


def _types() -> Any:
    try:
        import gguf
    except ImportError as error:
        raise MissingDependencyError.of("gguf", "gguf", "a GGUF file") from error
    return gguf


def _tensor(stream: BinaryIO, gguf: Any, path: Path) -> GgufTensor:
    name = _text(stream)
    axes = _unpack(stream, "I")[0]
    if axes > 8:
        raise EOFError
    shape = tuple(reversed(_unpack(stream, f"{axes}Q")))
    kind, offset = _unpack(stream, "IQ")
    try:
        kind = gguf.GGMLQuantizationType(kind)
        block, nbytes = gguf.GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError) as error:
        raise ModelError(
            f"{path}: tensor {name} is of ggml type {kind}, which the installed gguf does not know"
        ) from error
    return GgufTensor(name, shape, kind.name, math.prod(shape) // block * nbytes, offset)


def _value(stream: BinaryIO, kind: int) -> Any:
    """One value of the metadata; None for an array, which is skipped."""
    if kind in _NUMBERS:
        return _unpack(stream, _NUMBERS[kind])[0]
    if kind == _STRING:
        return _text(stream)
    if kind != _ARRAY:
        raise EOFError
    kind, count = _unpack(stream, "IQ")
    if kind in _NUMBERS:
        _read(stream, count * struct.calcsize(f"<{_NUMBERS[kind]}"))
        return None
    for _ in range(count):
        if kind == _STRING:
            _read(stream, _unpack(stream, "Q")[0])
        else:
            _value(stream, kind)
    return None


def _text(stream: BinaryIO) -> str:
    return _read(stream, _unpack(stream, "Q")[0]).decode()


def _unpack(stream: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", _read(stream, struct.calcsize(f"<{layout}")))


def _read(stream: BinaryIO, count: int) -> bytes:
    if count > _MOST_BYTES:
        raise EOFError
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found
