"""Looks at a store without fetching it: what it holds, and whether every file there has its checksum."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import CorruptSetError, MissingRunError, StorageError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import reading_errors
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.shared_files import SharedKind
from repdrift.stores.remote.addresses import Remote, StoredFile
from repdrift.stores.remote.fetching import Wanted
from repdrift.stores.remote.file_names import joined
from repdrift.stores.remote.moving import USUAL_JOBS, MovedBytes, at_once
from repdrift.stores.remote.store_contents import StoredFolder, found_folders, read_folder

_PUSH = "Push that folder anew from where it is whole, with --resend if a file there has another content."


@dataclass(frozen=True)
class ListedFolder:
    """A line of `repdrift ls`. kind: None where a push broke off or is under way. problem: why it is not complete; None if it is.

    nbytes: of all its files that the listing has. words: what a set is of; empty for others.
    """

    name: str
    kind: SharedKind | None
    n_files: int
    nbytes: int
    problem: str | None
    words: str = ""
    key: str | None = None


@dataclass(frozen=True)
class StoreFault:
    """One thing wrong in a store: the file or folder there, what is wrong, and what to do."""

    name: str
    problem: str
    remedy: str = _PUSH

    def __str__(self) -> str:
        return f"{self.name}: {self.problem.rstrip('.')}. {self.remedy}"


def listed_folders(remote: Remote, wanted: Wanted | None = None, *, jobs: int = USUAL_JOBS) -> list[ListedFolder]:
    """Every folder of sets, runs or results in a store, by name; only heads are read. Raises MissingRunError if it is empty."""
    wanted = wanted or Wanted()
    there = remote.files()
    found = found_folders(list(there))
    complete = [name for name in found.complete if wanted.takes(name)]
    rows = at_once(complete, lambda name: _row(remote, name, found.complete[name], there), jobs=jobs)
    rows = [row for row in rows if row.kind is None or row.kind in wanted.kinds]
    for name in found.headless:
        if wanted.takes(name):
            inside = [
                file.nbytes or 0 for path, file in there.items() if path.startswith("" if name == "." else f"{name}/")
            ]
            rows.append(ListedFolder(name, None, len(inside), sum(inside), "a push broke off, or is under way"))
    return sorted(rows, key=lambda row: row.name)


def _row(remote: Remote, name: str, head: str, there: dict[str, StoredFile]) -> ListedFolder:
    try:
        folder = read_folder(remote, name, head, there)
    except (CorruptSetError, MissingRunError) as error:
        return ListedFolder(name, None, 0, 0, str(error))
    nbytes = sum(there[joined(name, file)].nbytes or 0 for file in folder.files) + len(folder.content)
    metadata = folder.metadata
    words = "" if metadata is None else _set_in_words(metadata)
    return ListedFolder(
        name, folder.kind, len(folder.files) + 1, nbytes, None, words, metadata.key if metadata else None
    )


def _set_in_words(metadata: SetMetadata) -> str:
    seed = "" if metadata.seed is None else f", seed {metadata.seed}"
    rows, width = metadata.shape
    return f"{metadata.task}, {metadata.method}{seed}, {len(metadata.layers)} layers of {rows:,} x {width:,} {metadata.dtype}, pooling {metadata.pooling}, of {metadata.model}"


def store_faults(
    remote: Remote, wanted: Wanted | None = None, *, jobs: int = USUAL_JOBS
) -> tuple[int, list[StoreFault]]:
    """Read every file of a store back and hold it to its checksum; returns the number of folders and what is wrong.

    Raises MissingRunError if nothing of repdrift is there, StorageError if the store cannot be reached.
    """
    wanted = wanted or Wanted()
    there = remote.files()
    found = found_folders(list(there))
    faults = [
        StoreFault(name, "a push broke off, or is under way: no head is there")
        for name in found.headless
        if wanted.takes(name)
    ]
    names = sorted(name for name in found.complete if wanted.takes(name))
    if not names and not faults:
        raise MissingRunError(f"no representation set, run or results of repdrift at {remote.address}")
    folders: list[StoredFolder] = []
    for name in names:
        try:
            folder = read_folder(remote, name, found.complete[name], there)
        except (CorruptSetError, MissingRunError) as error:
            faults.append(StoreFault(joined(name, found.complete[name]), str(error)))
            continue
        if folder.kind in wanted.kinds:
            folders.append(folder)
    files = [(folder, name) for folder in folders for name in folder.files]
    nbytes = sum(there[joined(folder.name, name)].nbytes or 0 for folder, name in files)
    with (
        MovedBytes(f"reading {remote.address}", nbytes) as moved,
        tempfile.TemporaryDirectory(prefix="repdrift-verify-") as scratch,
    ):

        def check(item: tuple[StoredFolder, str]) -> StoreFault | None:
            folder, name = item
            return _fault(remote, joined(folder.name, name), folder.files[name], Path(scratch), moved)

        faults += [fault for fault in at_once(files, check, jobs=jobs) if fault is not None]
    return len(folders), sorted(faults, key=lambda fault: fault.name)


def _fault(remote: Remote, name: str, expected: str, scratch: Path, moved: MovedBytes) -> StoreFault | None:
    target = scratch / hashlib.sha256(name.encode()).hexdigest()
    try:
        remote.fetch(name, target, moved)
        with reading_errors(target, StorageError):
            found = file_sha256(target)
    except MissingRunError as error:
        return StoreFault(name, f"missing ({error})")
    finally:
        with reading_errors(target, StorageError):
            target.unlink(missing_ok=True)
    return (
        None
        if found == expected
        else StoreFault(name, f"changed or truncated: SHA-256 {found[:12]}..., expected {expected[:12]}...")
    )
