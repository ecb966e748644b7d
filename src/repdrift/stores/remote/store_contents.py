"""The folders that a store holds: complete ones by their heads, and those of which a push broke off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from repdrift.core.errors import CorruptSetError, DataError
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.core.records.shared_files import SENT_FILES, SHARED_FILES, SharedFiles, SharedKind
from repdrift.core.records.sites import places_of
from repdrift.stores.payload import PayloadLayout
from repdrift.stores.remote.addresses import Remote, StoredFile
from repdrift.stores.remote.file_names import is_plain_name, joined, require_plain_folder
from repdrift.stores.set_folder import is_layer_name, is_payload_name, is_site_name, place_name


@dataclass(frozen=True)
class StoredFolder:
    """A complete folder of a store, as its head describes it.

    files: SHA-256 by path below the folder. sizes: bytes by the same paths, where they are known. metadata: of a set.
    """

    kind: SharedKind
    name: str
    head: str
    content: bytes = field(repr=False)
    files: dict[str, str] = field(repr=False)
    sizes: dict[str, int] = field(repr=False)
    metadata: SetMetadata | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FoundFolders:
    """Names of the folders in a store. complete: each with the name of its head. headless: a push broke off, or is under way."""

    complete: dict[str, str]
    headless: list[str]


def found_folders(names: Sequence[str]) -> FoundFolders:
    """Finds folders by the names of all files of a store."""
    complete: dict[str, str] = {}
    begun: set[str] = set()
    for name in names:
        path = PurePosixPath(name)
        folder = str(path.parent)
        if path.name == METADATA_FILE or (path.name == SHARED_FILES and folder not in complete):
            complete[folder] = path.name
        elif path.name == SENT_FILES or is_layer_name(path.name):
            begun.add(folder)
    inside_others = {
        f for f in begun if any(str(p) in complete for p in PurePosixPath(f).parents) and not _has(names, f)
    }
    return FoundFolders(complete, sorted(begun - complete.keys() - inside_others))


def _has(names: Sequence[str], folder: str) -> bool:
    return joined(folder, SENT_FILES) in names or folder == "."


def read_folder(remote: Remote, name: str, head: str, there: Mapping[str, StoredFile]) -> StoredFolder:
    """Reads the head of a folder in a store, and holds it to the listing.

    Raises CorruptSetError if the head is damaged, names what no such folder has, or files that are missing there or of another size.
    """
    require_plain_folder(name, remote.address)
    where = f"{joined(name, head)} from {remote.address}"
    content = remote.read(joined(name, head))
    try:
        if head == METADATA_FILE:
            metadata = SetMetadata.parse(content, where)
            folder = StoredFolder("set", name, head, content, metadata.files, _set_sizes(metadata, where), metadata)
        else:
            listed = SharedFiles.parse(content, where)
            folder = StoredFolder(listed.kind, name, head, content, listed.files, listed.file_sizes)
    except DataError as error:
        raise CorruptSetError(f"{error} If you have that folder, push it anew.") from error
    allowed = is_payload_name if folder.kind == "set" else is_plain_name
    for file in folder.files:
        if not allowed(file) or (file == folder.head):
            kind = "a representation set" if folder.kind == "set" else "results"
            raise CorruptSetError(f"{remote.address}, {name!r}: names {file!r}, which is not a file of {kind}")
        stored = there.get(joined(name, file))
        expected = folder.sizes.get(file)
        if stored is None:
            raise CorruptSetError(
                f"{remote.address} has no file {joined(name, file)}, which {joined(name, head)} there names. Push that folder anew."
            )
        if expected is not None and stored.nbytes not in (None, expected):
            raise CorruptSetError(
                f"{joined(name, file)} from {remote.address} has {stored.nbytes:,} bytes, expected {expected:,}. The copy there is damaged, or "
                "is being written: push it anew."
            )
    return folder


def _set_sizes(metadata: SetMetadata, where: str) -> dict[str, int]:
    """The sizes that the files of a set must have. Raises CorruptSetError if the metadata contradicts itself."""
    try:
        rows, width = metadata.shape
        layout = PayloadLayout(metadata.payload, rows, width, metadata.dtype)
    except ValueError as error:
        raise CorruptSetError(f"{where} describes no layer: {error}. If you have that set, push it anew.") from error
    for place in places_of(metadata.layers, metadata.site_layers):
        if place_name(place, metadata.payload) not in metadata.files:
            raise CorruptSetError(
                f"{where} has no checksum of {place_name(place, metadata.payload)}. If you have that set, push it anew."
            )
    sizes = {name: layout.total_bytes for name in metadata.files if is_site_name(name)}
    return {**metadata.file_sizes, **sizes}
