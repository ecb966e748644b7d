"""Finds the sets below a folder, and what is wrong with each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import CorruptSetError, DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import files_below, folders_below, listed_folder
from repdrift.core.records.representation_set import ADAPTER_FOLDER, METADATA_FILE, SetMetadata
from repdrift.core.records.shared_files import SENT_FILES
from repdrift.core.records.sites import places_of
from repdrift.core.refusals import next_step_of_reading
from repdrift.stores.checked_files import REPAIR
from repdrift.stores.journal import complete_batches, read_header, read_lines
from repdrift.stores.payload import PayloadLayout
from repdrift.stores.set_folder import UNFINISHED_FOLDER, is_layer_name, is_site_name, place_name
from repdrift.stores.set_reader import read_metadata

_GO_ON = "Run the same extract command again: it goes on from there."
_BEGIN = "Run the same extract command again: it begins anew."


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a set: the file, what is wrong, and what to do."""

    path: Path
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem.rstrip('.')}. {self.remedy}"


def verify_set(folder: Path) -> list[Fault]:
    """Find every fault of the set in `folder`: it is unfinished, or a file is missing, changed, truncated or foreign."""
    try:
        metadata = read_metadata(folder)
    except (DataError, CorruptSetError) as error:
        path = folder / METADATA_FILE
        return [Fault(path, str(error).removeprefix(f"{path} "), REPAIR)]
    if metadata is None:
        return [_unfinished(folder)]
    faults = [
        fault for name, digest in metadata.files.items() if (fault := _file_fault(folder, name, digest, metadata))
    ]
    expected = {place_name(place, metadata.payload) for place in places_of(metadata.layers, metadata.site_layers)}
    faults += [
        Fault(folder / name, "has no checksum in the metadata", REPAIR)
        for name in sorted(expected - set(metadata.files))
    ]
    return faults + _strays(folder, metadata)


def find_sets(root: Path) -> Iterator[Path]:
    """Find every folder at or below `root` that holds a set, finished or not, in sorted order.

    Raises StorageError if a folder there cannot be listed.
    """
    if root.name == UNFINISHED_FOLDER:
        root = root.parent
    for folder in folders_below(root):
        if UNFINISHED_FOLDER in folder.relative_to(root).parts or (folder != root and folder.name == ADAPTER_FOLDER):
            continue
        names = {path.name for path in listed_folder(folder) if path.is_file()}
        if METADATA_FILE in names or any(map(is_layer_name, names)) or (folder / UNFINISHED_FOLDER).is_dir():
            yield folder


def _unfinished(folder: Path) -> Fault:
    if not (folder / UNFINISHED_FOLDER).is_dir():
        return Fault(folder, f"unfinished: no {METADATA_FILE}", REPAIR)
    header = read_header(folder)
    if header is None:
        return Fault(folder, "unfinished: no batch is written", _BEGIN)
    done = len(complete_batches(read_lines(folder), header.places))
    return Fault(folder, f"unfinished: {done} of {header.n_batches} batches are written", _GO_ON)


def _file_fault(folder: Path, name: str, digest: str, metadata: SetMetadata) -> Fault | None:
    path = folder / name
    if not path.is_file():
        return Fault(path, "missing", REPAIR)
    try:
        size = path.stat().st_size
        least = _data_bytes(metadata) if is_site_name(name) else 0
        if size < least:
            return Fault(path, f"truncated: {size:,} bytes, its rows alone take {least:,}", REPAIR)
        actual = file_sha256(path)
    except OSError as error:
        return Fault(path, f"cannot be read: {error.strerror or error}", next_step_of_reading(error, REPAIR))
    if actual != digest:
        return Fault(path, f"changed or truncated: SHA-256 {actual[:12]}..., expected {digest[:12]}...", REPAIR)
    return None


def _data_bytes(metadata: SetMetadata) -> int:
    """Bytes of one layer's rows; 0 if the metadata does not say."""
    try:
        return PayloadLayout(metadata.payload, metadata.shape[0], metadata.shape[1], metadata.dtype).data_bytes
    except (ValueError, IndexError):
        return 0


def _strays(folder: Path, metadata: SetMetadata) -> list[Fault]:
    present = {path.relative_to(folder) for path in files_below(folder)}
    known = {Path(name) for name in metadata.files} | {Path(METADATA_FILE), Path(SENT_FILES)}
    faults = [
        Fault(folder / path, "is not part of the set", "Move it out of the folder.")
        for path in sorted(present - known)
        if path.parts[0] != UNFINISHED_FOLDER
    ]
    if (folder / UNFINISHED_FOLDER).is_dir():
        faults.append(
            Fault(folder / UNFINISHED_FOLDER, "is left over from writing a set here; the finished set does not need it", "Delete it.")
        )  # fmt: skip
    return faults
