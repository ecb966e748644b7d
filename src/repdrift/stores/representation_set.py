"""A representation set on disk: one file a layer, metadata last; without metadata it is unfinished."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdrift.core.atomic import TEMPORARY_SUFFIX, atomic_path, storage_errors
from repdrift.core.errors import (
    CorruptSetError,
    DataError,
    MissingRunError,
    NonFiniteError,
    ShapeError,
    UnfinishedSetError,
    UnknownNameError,
)
from repdrift.core.fingerprint import file_sha256
from repdrift.core.records.representation_set import ADAPTER_FOLDER, METADATA_FILE, PayloadFormat, SetMetadata

_LAYER_NAME = re.compile(r"layer_(\d+)\.(pt|safetensors)")
_ADAPTER_NAME = re.compile(rf"{ADAPTER_FOLDER}/lora_[AB]_layer_(\d+)\.pt")
_TENSOR_KEY = "representation"
"""The tensor's name inside a safetensors payload."""


def is_payload_name(name: str) -> bool:
    """Whether `name` (a path below the set's folder, with forward slashes) can be a payload file of a set."""
    return _LAYER_NAME.fullmatch(name) is not None or _ADAPTER_NAME.fullmatch(name) is not None


class RepresentationSetWriter:
    """Writes one set into `folder`; every file is whole under its name or not there.

    Starting it takes an older set apart, its metadata first, so that what is half replaced never looks finished.
    """

    def __init__(self, folder: Path, *, payload: PayloadFormat = "pt") -> None:
        self.folder = folder
        self._payload: PayloadFormat = payload
        self._files: dict[str, str] = {}
        self._shape: tuple[int, ...] | None = None
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / METADATA_FILE).unlink(missing_ok=True)
            for path in [*folder.iterdir(), *(folder / ADAPTER_FOLDER).glob("*")]:
                name = path.relative_to(folder).as_posix()
                if is_payload_name(name) or path.name.endswith(TEMPORARY_SUFFIX):
                    path.unlink()

    def write_layer(self, layer: int, tensor: Tensor) -> None:
        """Write one layer's representation, (n, d). Raises NonFiniteError naming layer and row, ShapeError if the
        shape is not that of the layers before."""
        if tensor.dim() != 2:
            raise ShapeError(f"layer {layer} should be (rows, features), got {tuple(tensor.shape)}")
        if self._shape is not None and tuple(tensor.shape) != self._shape:
            raise ShapeError(f"layer {layer} is {tuple(tensor.shape)}, the layers before are {self._shape}")
        finite = torch.isfinite(tensor).all(dim=1)
        if not bool(finite.all()):
            raise NonFiniteError(f"layer {layer}, row {int((~finite).nonzero()[0])}: NaN or Inf in the representation")
        self._shape = tuple(tensor.shape)
        self._save(f"layer_{layer}.{self._payload}", _owned(tensor))

    def write_adapter(self, layer: int, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
        """Write one block's LoRA matrices: a tensor each where one module is adapted, else a dict by module name."""
        for letter, matrices in (("A", a), ("B", b)):
            owned = {name: _owned(matrix) for name, matrix in matrices.items()}
            content = next(iter(owned.values())) if len(owned) == 1 else owned
            self._save(f"{ADAPTER_FOLDER}/lora_{letter}_layer_{layer}.pt", content)

    def finish(self, **fields: Any) -> SetMetadata:
        """Write metadata.json, last of all. `fields`: every field of SetMetadata but `files` and `payload`."""
        metadata = SetMetadata(**fields, payload=self._payload, files=self._files)
        metadata.write(self.folder / METADATA_FILE)
        return metadata

    def _save(self, name: str, content: Tensor | dict[str, Tensor]) -> None:
        path = self.folder / name
        with atomic_path(path) as temporary:
            if name.endswith(".safetensors"):
                from safetensors.torch import save_file

                save_file({_TENSOR_KEY: content}, temporary)  # pyright: ignore[reportArgumentType]
            else:
                torch.save(content, temporary)
            self._files[name] = file_sha256(temporary)


@dataclass(frozen=True)
class RepresentationSet:
    """A finished set, opened; layers are read when they are asked for."""

    folder: Path
    metadata: SetMetadata

    @property
    def layers(self) -> list[int]:
        """Layer numbers, ascending."""
        return self.metadata.layers

    def layer(self, layer: int) -> Tensor:
        """One layer's representation, memory-mapped, of the shape that the metadata says.

        Raises UnknownNameError if the set lacks the layer, CorruptSetError if its file cannot be read or has another shape.
        """
        if layer not in self.metadata.layers:
            raise UnknownNameError(f"layer {layer} not in {self.folder} (layers {_span(self.metadata.layers)})")
        path = self.folder / f"layer_{layer}.{self.metadata.payload}"
        tensor = _load(path)
        if list(tensor.shape) != self.metadata.shape:
            raise CorruptSetError(
                f"{path} holds {tuple(tensor.shape)}, its metadata says {tuple(self.metadata.shape)}. {_REPAIR}"
            )
        return tensor


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a set: the file, what is wrong, and what to do."""

    path: Path
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}. {self.remedy}"


_REPAIR = "Run the same extract or pull command again: it makes the set anew."


def open_set(folder: Path) -> RepresentationSet:
    """Open a finished set.

    Raises MissingRunError if there is none, UnfinishedSetError if it has no metadata, CorruptSetError if a layer's file
    is absent or its metadata names a file that no set has.
    """
    metadata = _metadata(folder)
    if metadata is None:
        if not folder.is_dir():
            raise MissingRunError(f"no representation set at {folder}")
        raise UnfinishedSetError(f"the representation set {folder} is unfinished (no {METADATA_FILE}). {_REPAIR}")
    for layer in metadata.layers:
        path = folder / f"layer_{layer}.{metadata.payload}"
        if not path.is_file():
            raise CorruptSetError(f"{path} is missing from a finished set. {_REPAIR}")
    return RepresentationSet(folder, metadata)


def existing_key(folder: Path) -> str | None:
    """The key of the finished set in `folder`, or None. Its files are there and have the promised checksums."""
    try:
        found = open_set(folder)
    except (MissingRunError, UnfinishedSetError, CorruptSetError, DataError):
        return None
    intact = all(
        (folder / name).is_file() and file_sha256(folder / name) == digest
        for name, digest in found.metadata.files.items()
    )
    return found.metadata.key if intact else None


def verify_set(folder: Path) -> list[Fault]:
    """Everything wrong with the set in `folder`: unfinished, or files missing, changed, or not of the set."""
    try:
        metadata = _metadata(folder)
    except (DataError, CorruptSetError) as error:
        return [Fault(folder / METADATA_FILE, str(error), _REPAIR)]
    if metadata is None:
        return [Fault(folder, f"unfinished: no {METADATA_FILE}", _REPAIR)]
    faults: list[Fault] = []
    for name, digest in metadata.files.items():
        path = folder / name
        if not path.is_file():
            faults.append(Fault(path, "missing", _REPAIR))
        elif (actual := file_sha256(path)) != digest:
            faults.append(
                Fault(path, f"changed or truncated: SHA-256 {actual[:12]}..., expected {digest[:12]}...", _REPAIR)
            )
    promised = {f"layer_{layer}.{metadata.payload}" for layer in metadata.layers}
    faults += [
        Fault(folder / name, "has no checksum in the metadata", _REPAIR)
        for name in sorted(promised - set(metadata.files))
    ]
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in sorted(present - set(metadata.files) - {METADATA_FILE}):
        faults.append(Fault(folder / name, "is not part of the set", "Delete it."))
    return faults


def find_sets(root: Path) -> Iterator[Path]:
    """Every folder at or below `root` that holds a set, finished or not, sorted."""
    folders = {root, *(path for path in root.rglob("*") if path.is_dir() and path.name != ADAPTER_FOLDER)}
    for folder in sorted(folders):
        if (folder / METADATA_FILE).is_file() or any(
            _LAYER_NAME.fullmatch(p.name) for p in folder.iterdir() if p.is_file()
        ):
            yield folder


def _metadata(folder: Path) -> SetMetadata | None:
    path = folder / METADATA_FILE
    if not path.is_file():
        return None
    metadata = SetMetadata.read(path)
    # Metadata may come from elsewhere: a name that could lead out of the folder is refused before it is used.
    strange = [name for name in metadata.files if not is_payload_name(name)]
    if strange:
        raise CorruptSetError(f"{path} names {strange[0]!r}, which is not a file of a representation set. {_REPAIR}")
    return metadata


def _load(path: Path) -> Tensor:
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as stored:
                return stored.get_tensor(_TENSOR_KEY)
        content = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except Exception as error:  # whatever a damaged file provokes in torch or safetensors
        raise CorruptSetError(f"{path} cannot be read ({type(error).__name__}: {error}). {_REPAIR}") from error
    if not isinstance(content, Tensor):
        raise CorruptSetError(f"{path} holds {type(content).__name__}, expected one tensor. {_REPAIR}")
    return content


def _owned(tensor: Tensor) -> Tensor:
    """A contiguous CPU tensor whose storage holds nothing else: torch.save writes the whole storage of a view."""
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()


def _span(layers: list[int]) -> str:
    return (
        f"{layers[0]} to {layers[-1]}"
        if layers == list(range(layers[0], layers[-1] + 1))
        else ", ".join(map(str, layers))
    )
