"""Push and pull of representation sets: payload first, metadata last, every file checked, nothing copied twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.errors import CorruptSetError, DataError, MissingRunError, StorageError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.progress import Bar, say
from repdrift.core.reading import reading_errors
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.stores.remote.addresses import Remote
from repdrift.stores.set_folder import UNFINISHED_FOLDER, SetLock, is_layer_name, is_payload_name, remove_finished_files
from repdrift.stores.verification import find_sets, verify_set

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def push(root: Path, remote: Remote) -> list[str]:
    """Copy every set at or below `root` to the remote; returns the sets' names below `root`.

    Sets are verified first. Raises CorruptSetError if one is faulty or unfinished, and then sends nothing;
    MissingRunError if there is no set; StorageError if what is sent would not arrive.
    """
    folders = list(find_sets(root)) if root.is_dir() else []
    if not folders:
        raise MissingRunError(f"no representation set at or below {root}")
    faults = [fault for folder in folders for fault in verify_set(folder)]
    if faults:
        raise CorruptSetError(f"not sent, {len(faults)} fault(s) in {root}: " + "; ".join(map(str, faults[:3])))
    remote.require_sending()
    total = 0
    missing: list[tuple[str, Path]] = []
    for folder in folders:
        prefix = folder.relative_to(root)
        names = [*SetMetadata.read(folder / METADATA_FILE).files, METADATA_FILE]
        total += len(names)
        missing += [
            (name, path)
            for name, path in (((prefix / name).as_posix(), folder / name) for name in names)
            if not remote.matches(name, path)
        ]
    say(f"sending {len(missing)} of {total} files ({len(folders)} sets) to {remote.address}")
    # The old metadata goes first, else a push that breaks off would leave the old set looking whole.
    for name, path in missing:
        if path.name == METADATA_FILE:
            remote.remove(name)
    remote.send(missing)
    return [folder.relative_to(root).as_posix() for folder in folders]


def pull(remote: Remote, output_dir: Path, *, only: Sequence[str] | None = None) -> list[Path]:
    """Copy the remote's sets into `output_dir` and verify their checksums; returns their folders.

    only: the wanted tasks (first parts of the sets' names); None: all. A file that is here with the right checksum is not
    fetched again. A set's metadata is written after all its files, so an interrupted pull never looks complete.
    Raises CorruptSetError naming file, expected and found checksum if a copy is damaged; MissingRunError if a wanted set
    is not there; StorageError if an unfinished extraction is in the way.
    """
    names = remote.names()
    sets = sorted(str(PurePosixPath(name).parent) for name in names if PurePosixPath(name).name == METADATA_FILE)
    if not sets:
        raise MissingRunError(f"{remote.address} holds no representation set (no {METADATA_FILE})")
    headless = [name for name in _with_layers(names) if name not in sets and (not only or _first(name) in only)]
    if headless:
        raise CorruptSetError(
            f"{remote.address} has layers in {headless[0]!r} but no {METADATA_FILE} there: a push broke off or is under way, or the "
            "file was lost. Push that set again, or pull others by --task."
        )
    if only:
        absent = [task for task in only if not any(_first(name) == task for name in sets)]
        if absent:
            there = ", ".join(sorted({_first(name) for name in sets}))
            raise MissingRunError(f"{remote.address} holds nothing for {', '.join(absent)}; it has: {there}")
        sets = [name for name in sets if _first(name) in only]
    return [_pull_set(remote, name, output_dir) for name in sets]


def _pull_set(remote: Remote, name: str, output_dir: Path) -> Path:
    parts = [] if name == "." else name.split("/")
    if not all(_FOLDER_NAME.fullmatch(part) for part in parts):
        raise CorruptSetError(
            f"{remote.address} names a set {name!r}: only letters, digits, '_', '.', '-' are taken as folders"
        )
    folder = output_dir.joinpath(*parts)
    with SetLock(folder):
        if (folder / UNFINISHED_FOLDER).is_dir():
            raise StorageError(
                f"{folder} holds an unfinished extraction: it is not replaced. Finish it with the same extract command, or "
                f"delete {folder / UNFINISHED_FOLDER}, then pull again."
            )
        return _pull_into(folder, remote, name)


def _pull_into(folder: Path, remote: Remote, name: str) -> Path:
    staged = folder / f".{METADATA_FILE}.pulled"
    with atomic_path(staged) as temporary:
        _fetch(remote, _join(name, METADATA_FILE), temporary)
    try:
        metadata = _read_remote_metadata(staged, remote, name)
        here = folder / METADATA_FILE
        with storage_errors(here):
            is_same = _sha256_here(here) == file_sha256(staged)
            if here.is_file() and not is_same:
                say(f"{folder} holds another set: it is replaced")
            if not is_same:
                remove_finished_files(folder, keep=metadata.files)
        with Bar(f"fetching {name}", len(metadata.files)) as bar:
            for file, expected in metadata.files.items():
                _pull_file(remote, _join(name, file), folder / file, expected)
                bar.advance()
        with atomic_path(here) as temporary:
            temporary.write_bytes(staged.read_bytes())
    finally:
        staged.unlink(missing_ok=True)
    say(f"{folder}: complete, {len(metadata.files)} files verified")
    return folder


def _pull_file(remote: Remote, name: str, target: Path, expected: str) -> None:
    if _sha256_here(target) == expected:
        return
    with atomic_path(target) as temporary:
        _fetch(remote, name, temporary)
        found = file_sha256(temporary)
        if found != expected:
            raise CorruptSetError(
                f"{name} from {remote.address} is not what its metadata says: SHA-256 {found[:16]}, expected {expected[:16]}. "
                "It was not kept. Run the same command again; if it stays so, the copy there is damaged: push it anew."
            )


def _fetch(remote: Remote, name: str, target: Path) -> None:
    try:
        remote.fetch(name, target)
    except (MissingRunError, StorageError) as error:
        raise type(error)(
            f"{error} If the copy there lost {name}, or has something else in its place, push the set anew."
        ) from error


def _sha256_here(path: Path) -> str | None:
    """The SHA-256 of a file on this machine; None if there is none, or it cannot be read: it is then fetched anew."""
    try:
        return file_sha256(path)
    except OSError:
        return None


def _read_remote_metadata(path: Path, remote: Remote, name: str) -> SetMetadata:
    with reading_errors(path, StorageError):
        content = path.read_bytes()
    try:
        metadata = SetMetadata.parse(content, f"{_join(name, METADATA_FILE)} from {remote.address}")
    except DataError as error:
        raise CorruptSetError(f"{error} If you have that set, push it anew.") from error
    strange = [file for file in metadata.files if not is_payload_name(file)]
    if strange:
        raise CorruptSetError(
            f"{remote.address}, set {name!r}: names {strange[0]!r}, which is not a file of a representation set"
        )
    return metadata


def _with_layers(names: Sequence[str]) -> list[str]:
    """The folders that hold layers of a set, by the names of all files there."""
    return sorted({str(PurePosixPath(name).parent) for name in names if is_layer_name(PurePosixPath(name).name)})


def _first(name: str) -> str:
    return name.split("/", 1)[0]


def _join(folder: str, file: str) -> str:
    return file if folder == "." else f"{folder}/{file}"
