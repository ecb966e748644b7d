"""Reads a finished representation set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from repdrift.core.errors import CorruptSetError, DataError, MissingRunError, UnfinishedSetError, UnknownNameError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.stores.payload import TENSOR_KEY
from repdrift.stores.set_folder import is_payload_name, layer_name

REPAIR = "Run the same extract or pull command again: it makes the set anew."
"""The advice to a user whose set is damaged."""


@dataclass(frozen=True)
class RepresentationSet:
    """A finished set. Each layer is read when it is asked for."""

    folder: Path
    metadata: SetMetadata

    @property
    def layers(self) -> list[int]:
        """Layer numbers, ascending."""
        return self.metadata.layers

    def layer(self, layer: int) -> Tensor:
        """Read one layer's representation, memory-mapped; its shape is the metadata's `shape`.

        Raises UnknownNameError if the set lacks the layer, CorruptSetError if its file cannot be read or has another shape.
        """
        if layer not in self.metadata.layers:
            raise UnknownNameError(
                f"layer {layer} not in {self.folder} (layers {_layers_in_words(self.metadata.layers)})"
            )
        path = self.folder / layer_name(layer, self.metadata.payload)
        tensor = _load(path)
        if list(tensor.shape) != self.metadata.shape:
            raise CorruptSetError(
                f"{path} holds {tuple(tensor.shape)}, its metadata says {tuple(self.metadata.shape)}. {REPAIR}"
            )
        return tensor


def open_set(folder: Path) -> RepresentationSet:
    """Open a finished set.

    Raises MissingRunError if there is none, UnfinishedSetError if it has no metadata, CorruptSetError if a layer's file
    is absent or its metadata names a file that no set has.
    """
    metadata = read_metadata(folder)
    if metadata is None:
        if not folder.is_dir():
            raise MissingRunError(f"no representation set at {folder}")
        raise UnfinishedSetError(f"the representation set {folder} is unfinished (no {METADATA_FILE}). {REPAIR}")
    for layer in metadata.layers:
        path = folder / layer_name(layer, metadata.payload)
        if not path.is_file():
            raise CorruptSetError(f"{path} is missing from a finished set. {REPAIR}")
    return RepresentationSet(folder, metadata)


def existing_key(folder: Path) -> str | None:
    """The key of the finished set in `folder`; None if there is none or its files lack the metadata's checksums."""
    metadata = _whole_metadata(folder)
    return metadata.key if metadata is not None and _is_intact(folder, metadata) else None


def finished_set(folder: Path, key: str) -> SetMetadata | None:
    """The metadata of the finished set in `folder` if it has this key and its files have the metadata's checksums.

    Returns None otherwise. The files of a set of another key are not read.
    """
    metadata = _whole_metadata(folder)
    return metadata if metadata is not None and metadata.key == key and _is_intact(folder, metadata) else None


def read_metadata(folder: Path) -> SetMetadata | None:
    """Read the metadata of the set in `folder`; None if it has none.

    Raises DataError if the metadata is not valid, CorruptSetError if it names a file that no set has.
    """
    path = folder / METADATA_FILE
    if not path.is_file():
        return None
    metadata = SetMetadata.read(path)
    # Metadata may come from elsewhere: a name that could lead out of the folder is refused before it is used.
    strange = [name for name in metadata.files if not is_payload_name(name)]
    if strange:
        raise CorruptSetError(f"{path} names {strange[0]!r}, which is not a file of a representation set. {REPAIR}")
    return metadata


def _whole_metadata(folder: Path) -> SetMetadata | None:
    try:
        return open_set(folder).metadata
    except (MissingRunError, UnfinishedSetError, CorruptSetError, DataError):
        return None


def _is_intact(folder: Path, metadata: SetMetadata) -> bool:
    return all(
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in metadata.files.items()
    )


def _load(path: Path) -> Tensor:
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as stored:
                return stored.get_tensor(TENSOR_KEY)
        content = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except Exception as error:  # a damaged file can raise many kinds of error in torch and safetensors
        raise CorruptSetError(f"{path} cannot be read ({type(error).__name__}: {error}). {REPAIR}") from error
    if not isinstance(content, Tensor):
        raise CorruptSetError(f"{path} holds {type(content).__name__}, expected one tensor. {REPAIR}")
    return content


def _layers_in_words(layers: list[int]) -> str:
    return (
        f"{layers[0]} to {layers[-1]}"
        if layers == list(range(layers[0], layers[-1] + 1))
        else ", ".join(map(str, layers))
    )
