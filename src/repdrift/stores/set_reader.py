"""Reads a finished representation set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from repdrift.core.errors import CorruptSetError, DataError, MissingRunError, UnfinishedSetError, UnknownNameError
from repdrift.core.reading import reading_errors
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.core.records.sites import RESID_POST, SiteLayer, places_of
from repdrift.stores.checked_files import REPAIR, require_intact
from repdrift.stores.payload import PayloadLayout, payload_dtype
from repdrift.stores.set_folder import is_payload_name, is_site_name, place_name


@dataclass(frozen=True)
class RepresentationSet:
    """A finished set. Each layer is read when it is asked for."""

    folder: Path
    metadata: SetMetadata

    @property
    def layers(self) -> list[int]:
        """Layer numbers, ascending."""
        return self.metadata.layers

    @property
    def sites(self) -> list[str]:
        """The sites that the set holds; `resid_post` is always among them."""
        return self.metadata.sites

    @property
    def places(self) -> list[SiteLayer]:
        """Every site and layer of the set."""
        return places_of(self.metadata.layers, self.metadata.site_layers)

    def _in_words(self, site: str) -> str:
        there = [place.layer for place in self.places if place.site == site]
        if there:
            return f"layers {_layers_in_words(there)}"
        reason = self.metadata.sites_left_out.get(site)
        return f"sites {', '.join(self.sites)}" + (f"; {site} was left out: {reason}" if reason else "")

    def layer(self, layer: int) -> Tensor:
        """Read one layer's residual stream, memory-mapped; its shape is the metadata's `shape`. Raises what `at` raises."""
        return self.at(RESID_POST, layer)

    def at(self, site: str, layer: int) -> Tensor:
        """Read one site at one layer, memory-mapped; its shape is the metadata's `shape`.

        site: one of `core.records.sites.SITES`. layer: a block; -1 for `embeddings`, the number of blocks for `final_norm`. The file is read after its size, its checksum and its header were found to be those of such a layer. Nothing in the
        file says how much memory is taken, and no part of it is unpickled.
        Raises UnknownNameError, with what the set has, if it lacks the site or the layer; CorruptSetError if its file is absent or not what was written.
        """
        place = SiteLayer(site, layer)
        if place not in self.places:
            raise UnknownNameError(f"{place.words} not in {self.folder} ({self._in_words(site)})")
        name = place_name(place, self.metadata.payload)
        path, layout = self.folder / name, _layout(self.folder, self.metadata)
        require_intact(path, self.metadata.files[name], nbytes=layout.total_bytes)
        return _mapped(path, layout)


def open_set(folder: str | Path) -> RepresentationSet:
    """Open a finished set.

    Files are looked at, not read: each layer is checked when it is read. Raises MissingRunError if there is none,
    UnfinishedSetError if it has no metadata, CorruptSetError if a file is absent or has another size than its rows take,
    or if the metadata lacks a layer's checksum or names a file that no set has.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    if metadata is None:
        if not folder.is_dir():
            raise MissingRunError(f"no representation set at {folder}")
        raise UnfinishedSetError(f"the representation set {folder} is unfinished (no {METADATA_FILE}). {REPAIR}")
    layout = _layout(folder, metadata)
    for place in places_of(metadata.layers, metadata.site_layers):
        name = place_name(place, metadata.payload)
        if name not in metadata.files:
            raise CorruptSetError(f"{folder / METADATA_FILE} has no checksum of {name}. {REPAIR}")
    for name in metadata.files:
        path = folder / name
        if not path.is_file():
            raise CorruptSetError(f"{path} is missing from a finished set. {REPAIR}")
        with reading_errors(path, CorruptSetError, REPAIR):
            size = path.stat().st_size
        expected = layout.total_bytes if is_site_name(name) else metadata.file_sizes.get(name, size)
        if size != expected:
            raise CorruptSetError(f"{path} has {size:,} bytes, expected {expected:,}. {REPAIR}")
    return RepresentationSet(folder, metadata)


def existing_key(folder: Path) -> str | None:
    """The key of the finished set in `folder`; None if there is none or its files lack the metadata's checksums."""
    metadata = _whole_metadata(folder)
    return metadata.key if metadata is not None and _is_intact(folder, metadata) else None


def finished_set(folder: Path, key: str, settings: Mapping[str, str] | None = None) -> SetMetadata | None:
    """The metadata of the finished set in `folder` if it has this key and its files have the metadata's checksums.

    settings: those that the metadata must have, unless it is of an older version and has none; None asks for none.
    Returns None otherwise. The files of a set of another key are not read.
    """
    metadata = _whole_metadata(folder)
    if metadata is None or metadata.key != key:
        return None
    if settings is not None and metadata.settings and metadata.settings != settings:
        return None
    return metadata if _is_intact(folder, metadata) else None


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
    try:
        for name, digest in metadata.files.items():
            require_intact(folder / name, digest)
    except CorruptSetError:
        return False
    return True


def _layout(folder: Path, metadata: SetMetadata) -> PayloadLayout:
    try:
        rows, width = metadata.shape
        return PayloadLayout(metadata.payload, rows, width, metadata.dtype)
    except ValueError as error:
        raise CorruptSetError(f"{folder / METADATA_FILE} describes no layer: {error}. {REPAIR}") from error


def _mapped(path: Path, layout: PayloadLayout) -> Tensor:
    """Maps the rows of a layer's file into memory; changes to the tensor do not reach the file."""
    with reading_errors(path, CorruptSetError, REPAIR), path.open("rb") as stream:
        if stream.read(len(layout.head)) != layout.head:
            raise CorruptSetError(
                f"{path} does not begin like a file of {layout.n_rows:,} rows of {layout.width:,} {layout.dtype} numbers. {REPAIR}"
            )
    try:
        data = torch.from_file(str(path), shared=False, size=layout.total_bytes, dtype=torch.uint8)
    except RuntimeError as error:  # the system's refusal in torch's words
        raise CorruptSetError(f"{path} cannot be mapped into memory: {str(error).splitlines()[0]}") from error
    rows = data[len(layout.head) : len(layout.head) + layout.data_bytes]
    return rows.view(payload_dtype(layout.dtype)).reshape(layout.n_rows, layout.width)


def _layers_in_words(layers: list[int]) -> str:
    return (
        f"{layers[0]} to {layers[-1]}"
        if layers == list(range(layers[0], layers[-1] + 1))
        else ", ".join(map(str, layers))
    )
