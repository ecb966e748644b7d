"""Fetches folders of a store: several files at once, every one held to its checksum before it gets its name, the head last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.errors import ConfigError, CorruptSetError, MissingRunError, StorageError
from repdrift.core.fingerprint import file_sha256, unchanged_file_sha256
from repdrift.core.progress import say
from repdrift.core.records.representation_set import METADATA_FILE
from repdrift.core.records.shared_files import SharedKind
from repdrift.stores.disk import free_bytes
from repdrift.stores.remote.addresses import Remote, StoredFile
from repdrift.stores.remote.file_names import joined
from repdrift.stores.remote.moving import USUAL_JOBS, MovedBytes, at_once
from repdrift.stores.remote.shared_folders import KINDS, KINDS_IN_WORDS
from repdrift.stores.remote.store_contents import FoundFolders, StoredFolder, found_folders, read_folder
from repdrift.stores.set_folder import UNFINISHED_FOLDER, SetLock, remove_finished_files

_LAST = ".json"
"""Records end so. They are fetched after all other files, since commands take what they name for complete."""
USUAL_FOLDER = "base_representations"
"""Where sets go if nobody says otherwise."""
_SPARE_BYTES = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """The part of a store that is fetched.

    tasks: first parts of the folders' names. patterns: names of folders, with `*` for any letters. None: all.
    """

    tasks: Sequence[str] | None = None
    patterns: Sequence[str] | None = None
    kinds: Sequence[SharedKind] = KINDS

    def takes(self, name: str) -> bool:
        """Tell whether the folder of this name is wanted, as far as its name tells."""
        by_task = not self.tasks or name.split("/", 1)[0] in self.tasks
        return by_task and (not self.patterns or any(fnmatchcase(name, pattern) for pattern in self.patterns))


def pull(
    remote: Remote,
    output_dir: Path | None,
    *,
    only: Sequence[str] | None = None,
    wanted: Wanted | None = None,
    jobs: int = USUAL_JOBS,
    replace: bool = False,
) -> list[Path]:
    """Copy the remote's folders into `output_dir` and verify their checksums; returns where they lie.

    output_dir: None is `base_representations`, for sets alone.
    only: the wanted tasks (first parts of the sets' names); None: all. A file that is here with the right checksum is not
    fetched again. A set's metadata is written after all its files, so an interrupted pull never looks complete. replace: also write over
    files of runs and results that are here with another content; another set is always replaced.
    Raises CorruptSetError naming file, expected and found checksum if a copy is damaged; MissingRunError if what is wanted
    is not there; StorageError if an unfinished extraction or other results are in the way, or the disk has too little room.
    """
    wanted = wanted or Wanted(tasks=only)
    there = remote.files()
    found = found_folders(list(there))
    names = _chosen(remote, found, wanted)
    folders = at_once(names, lambda name: read_folder(remote, name, found.complete[name], there), jobs=jobs)
    folders = [folder for folder in folders if folder.kind in wanted.kinds]
    if not folders:
        kinds = ", ".join(KINDS_IN_WORDS[kind] for kind in wanted.kinds)
        raise MissingRunError(f"{remote.address} holds nothing of this kind: {kinds}")
    if output_dir is None:
        if others := [folder for folder in folders if folder.kind != "set"]:
            raise ConfigError(
                f"{remote.address} holds runs or results too, such as {others[0].name}: say where they go by --output-dir, or fetch sets alone by --kind set"
            )
        output_dir = Path(USUAL_FOLDER)
    targets = [output_dir if folder.name == "." else output_dir / folder.name for folder in folders]
    if not replace:
        _require_no_others(folders, targets)
    _require_room(output_dir, folders, targets, there)
    for folder, target in zip(folders, targets, strict=True):
        fetch_folder(remote, folder, target, jobs=jobs, replace=replace)
    return targets


def fetch_folder(
    remote: Remote, folder: StoredFolder, target: Path, *, jobs: int = USUAL_JOBS, replace: bool = False
) -> int:
    """Copy one folder to `target`, unless it is there; returns how many files were fetched. Raises what `pull` raises."""
    with SetLock(target):
        if folder.kind == "set":
            if (target / UNFINISHED_FOLDER).is_dir():
                raise StorageError(
                    f"{target} holds an unfinished extraction: it is not replaced. Finish it with the same extract command, or "
                    f"delete {target / UNFINISHED_FOLDER}, then pull again."
                )
            return _fetch_set(remote, folder, target, jobs)
        if not replace:
            _require_no_others([folder], [target])
        return _fetch_files(remote, folder, target, jobs)


def _chosen(remote: Remote, found: FoundFolders, wanted: Wanted) -> list[str]:
    if not found.complete and not found.headless:
        raise MissingRunError(
            f"{remote.address} holds no representation set (no {METADATA_FILE}), run or results of repdrift"
        )
    headless = [name for name in found.headless if wanted.takes(name)]
    if headless:
        raise CorruptSetError(
            f"{remote.address} has files in {headless[0]!r} but no {METADATA_FILE} there, or no list of the files: a push broke off or is "
            "under way, or the file was lost. Push that folder again, or pull others by --task or --only."
        )
    names = sorted(name for name in found.complete if wanted.takes(name))
    if wanted.tasks:
        heads = sorted({name.split("/", 1)[0] for name in found.complete})
        if absent := [task for task in wanted.tasks if task not in heads]:
            raise MissingRunError(f"{remote.address} holds nothing for {', '.join(absent)}; it has: {', '.join(heads)}")
    if not names:
        raise MissingRunError(
            f"{remote.address} holds nothing called so; it has {len(found.complete)} folders, such as {min(found.complete)}. "
            "`repdrift ls` lists them."
        )
    return names


def _require_no_others(folders: Sequence[StoredFolder], targets: Sequence[Path]) -> None:
    """Raises StorageError if a file of runs or results is here with another content. Sets are keyed, and replaced."""
    others = [
        target / name
        for folder, target in zip(folders, targets, strict=True)
        if folder.kind != "set"
        for name, expected in folder.files.items()
        if (target / name).is_file() and _sha256_here(target / name) not in (None, expected)
    ]
    if others:
        raise StorageError(
            f"{len(others)} file(s) here have another content than in the store, such as {others[0]}: nothing was fetched. Pull into another "
            "folder, or give --replace to write over them."
        )


def _require_room(
    output_dir: Path, folders: Sequence[StoredFolder], targets: Sequence[Path], there: Mapping[str, StoredFile]
) -> None:
    needed = 0
    for folder, target in zip(folders, targets, strict=True):
        for name in folder.files:
            stored = there[joined(folder.name, name)].nbytes or 0
            with storage_errors(target):
                here = (target / name).stat().st_size if (target / name).is_file() else 0
            needed += max(0, stored - here)
    existing = next(path for path in (output_dir.absolute(), *output_dir.absolute().parents) if path.exists())
    free = free_bytes(existing)
    if needed + _SPARE_BYTES > free:
        raise StorageError(
            f"what is to be fetched takes {needed:,} bytes ({needed / 1e9:.2f} GB), and {output_dir} has {free:,} ({free / 1e9:.2f} GB). Nothing was "
            "fetched: free some space, pull a part by --task or --only, or choose another folder."
        )


def _fetch_set(remote: Remote, folder: StoredFolder, target: Path, jobs: int) -> int:
    head = target / METADATA_FILE
    with storage_errors(head):
        is_same = head.is_file() and head.read_bytes() == folder.content
        if head.is_file() and not is_same:
            say(f"{target} holds another set: it is replaced")
        if not is_same:
            remove_finished_files(target, keep=folder.files)
    return _fetch_files(remote, folder, target, jobs)


def _fetch_files(remote: Remote, folder: StoredFolder, target: Path, jobs: int) -> int:
    missing = [name for name, expected in folder.files.items() if _sha256_here(target / name) != expected]
    last = [name for name in missing if folder.kind != "set" and name.endswith(_LAST)]
    # What names other files is taken for complete: it goes before they are replaced, and comes after them, the topmost last.
    with storage_errors(target):
        for name in last:
            (target / name).unlink(missing_ok=True)
    nbytes = sum(folder.sizes.get(name, 0) for name in missing)
    with MovedBytes(f"fetching {folder.name}", nbytes) as moved:

        def fetch(name: str) -> None:
            _fetch_file(remote, folder, name, target / name, moved)

        at_once([name for name in missing if name not in last], fetch, jobs=jobs)
        for name in sorted(last, key=lambda name: -len(PurePosixPath(name).parts)):
            fetch(name)
    if folder.kind == "set" and _sha256_here(target / METADATA_FILE) is None:
        with atomic_path(target / METADATA_FILE) as temporary:
            temporary.write_bytes(folder.content)
    say(f"{target}: complete, {len(folder.files)} files verified, {len(missing)} fetched")
    return len(missing)


def _fetch_file(remote: Remote, folder: StoredFolder, name: str, target: Path, moved: MovedBytes) -> None:
    expected, size = folder.files[name], folder.sizes.get(name)
    arrived = 0

    def count(nbytes: int) -> None:
        nonlocal arrived
        arrived += nbytes
        if size is not None and arrived > size:
            raise CorruptSetError(
                f"{joined(folder.name, name)} from {remote.address} has more than the {size:,} bytes that it should have"
            )
        moved(nbytes)

    with atomic_path(target) as temporary:
        try:
            remote.fetch(joined(folder.name, name), temporary, count)
        except (MissingRunError, StorageError) as error:
            raise type(error)(
                f"{error} If the copy there lost {joined(folder.name, name)}, or has something else in its place, push the folder anew."
            ) from error
        found = file_sha256(temporary)
        if found != expected:
            raise CorruptSetError(
                f"{joined(folder.name, name)} from {remote.address} is not what its metadata says: SHA-256 {found[:16]}, expected {expected[:16]}. "
                "It was not kept. Run the same command again; if it stays so, the copy there is damaged: push it anew with --resend."
            )


def _sha256_here(path: Path) -> str | None:
    """The SHA-256 of a file on this machine; None if there is none, or it cannot be read: it is then fetched anew."""
    try:
        return unchanged_file_sha256(path)
    except OSError:
        return None
