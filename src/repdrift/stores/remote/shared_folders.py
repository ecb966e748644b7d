"""The folders that go to a store as one: representation sets, runs and results, found on this machine with their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repdrift.core.errors import CorruptSetError, MissingRunError, StorageError
from repdrift.core.fingerprint import unchanged_file_sha256
from repdrift.core.reading import files_below, folders_below, listed_folder, reading_errors
from repdrift.core.records.comparison import COMPARISON_FILE
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.core.records.results import RESULTS_FILE
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.records.shared_files import SHARED_FILES, SharedFiles, SharedKind
from repdrift.core.records.tuning import TUNING_FOLDER
from repdrift.stores.remote.file_names import is_plain_name
from repdrift.stores.verification import find_sets, verify_set

RESULT_FILES = (RESULTS_FILE, COMPARISON_FILE)
"""A folder that holds one of them holds results."""
_OUTCOMES = "outcomes"
SPLIT_FOLDERS = (_OUTCOMES, "weights", TUNING_FOLDER)
"""Folders of a study's results with a folder for each run, which several machines may make: each goes by itself."""
RESULT_FOLDERS = ("drift_visualizations", *SPLIT_FOLDERS)
"""Folders of a study's results that hold results themselves."""
_MADE_AGAIN = ("base_states", "passed")
"""Folders below `outcomes` that hold states which later steps read once, and which can be as large as a model's outputs."""
KINDS: tuple[SharedKind, ...] = ("set", "run", "results")
KINDS_IN_WORDS = {"set": "representation set", "run": "run folder", "results": "folder of results"}


@dataclass(frozen=True)
class SharedFile:
    """A file on this machine with its checksum. stamp: its size, time of change and inode when the checksum was taken."""

    path: Path
    sha256: str
    stamp: tuple[int, int, int]

    @property
    def nbytes(self) -> int:
        """The size of the file."""
        return self.stamp[0]

    def require_unchanged(self) -> None:
        """Raises StorageError if the file was changed since its checksum was taken."""
        now = _stamp(self.path)
        if now != self.stamp:
            raise StorageError(
                f"{self.path} was changed while it was sent. The copy there is not complete: wait until nothing writes it, then push again."
            )


@dataclass(frozen=True)
class SharedFolder:
    """A folder that is complete in a store once all its files and then its head are there.

    name: its path below the pushed folder, with forward slashes; "." for that folder itself. head: the file that is sent
    last, and content its content. files: by path below the folder, without the head.
    """

    kind: SharedKind
    name: str
    head: str
    content: bytes = field(repr=False)
    files: dict[str, SharedFile] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of all files, with the head."""
        return sum(file.nbytes for file in self.files.values()) + len(self.content)


@dataclass(frozen=True)
class Sent:
    """Counts what a push has moved. retries: how often it began again since another push wrote to the same place."""

    files: int = 0
    nbytes: int = 0
    retries: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.files + other.files, self.nbytes + other.nbytes, self.retries + other.retries)


def shared_folders(root: Path, kinds: Sequence[SharedKind] = KINDS) -> list[SharedFolder]:
    """Every folder at or below `root` that can be shared, verified, in sorted order.

    Raises MissingRunError if there is none, and what `found_to_share` raises.
    """
    if root.is_symlink() and not root.exists():
        raise MissingRunError(f"{root} is a link that leads nowhere")
    found = found_to_share(root, kinds)
    if not found:
        raise MissingRunError(f"no {_wanted(kinds)} at or below {root}")
    return found


def found_to_share(root: Path, kinds: Sequence[SharedKind] = KINDS) -> list[SharedFolder]:
    """Every folder at or below `root` that can be shared, verified, in sorted order; none is an empty list.

    Raises CorruptSetError if a set is faulty or unfinished, or a file of a run is not the
    one that its run.json names; StorageError if a file cannot be read.
    """
    sets = list(find_sets(root)) if root.is_dir() else []
    found: list[SharedFolder] = []
    if "set" in kinds:
        faults = [fault for folder in sets for fault in verify_set(folder)]
        if faults:
            raise CorruptSetError(f"not sent, {len(faults)} fault(s) in {root}: " + "; ".join(map(str, faults[:3])))
        found += [_set(folder, root) for folder in sets]
    others = list(_others(root, set(sets))) if root.is_dir() else []
    found += [_run(folder, root) for kind, folder in others if kind == "run" and "run" in kinds]
    found += [
        _results(folder, root, set(sets), {other for _, other in others})
        for kind, folder in others
        if kind == "results" and "results" in kinds
    ]
    return sorted((folder for folder in found if folder.files), key=lambda folder: folder.name)


def _wanted(kinds: Sequence[SharedKind]) -> str:
    words = [KINDS_IN_WORDS[kind] for kind in kinds]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _others(root: Path, sets: set[Path]) -> Iterator[tuple[SharedKind, Path]]:
    """Runs and folders of results, none inside of another."""
    taken: list[Path] = []
    for folder in folders_below(root):
        if _is_made_again(folder):
            taken.append(folder)
            continue
        inside = any(above in folder.parents for above in taken)
        if inside or folder in sets or any(above in sets for above in folder.parents) or _is_hidden(folder, root):
            continue
        names = {path.name for path in listed_folder(folder) if path.is_file()}
        if RUN_FILE in names:
            taken.append(folder)
            yield "run", folder
        elif folder.name in SPLIT_FOLDERS:
            yield "results", folder
        elif names & set(RESULT_FILES) or folder.name in RESULT_FOLDERS or folder.parent.name in SPLIT_FOLDERS:
            taken.append(folder)
            yield "results", folder


def _set(folder: Path, root: Path) -> SharedFolder:
    path = folder / METADATA_FILE
    metadata = SetMetadata.read(path)
    with reading_errors(path, StorageError):
        content = path.read_bytes()
    files = {name: _file(folder / name, expected) for name, expected in metadata.files.items()}
    return SharedFolder("set", _name(folder, root), METADATA_FILE, content, files)


def _run(folder: Path, root: Path) -> SharedFolder:
    record = RunRecord.read(folder / RUN_FILE)
    files = _files(folder, folder, set())
    for name, expected in record.files.items():
        if name not in files or files[name].sha256 != expected:
            raise CorruptSetError(
                f"not sent: {folder / name} is {'changed' if name in files else 'missing'}, as {folder / RUN_FILE} says. "
                "Restore it from a copy, or train the run again."
            )
    return _listed("run", folder, root, files)


def _results(folder: Path, root: Path, sets: set[Path], others: set[Path]) -> SharedFolder:
    return _listed("results", folder, root, _files(folder, folder, sets | others))


def _listed(kind: SharedKind, folder: Path, root: Path, files: dict[str, SharedFile]) -> SharedFolder:
    record = SharedFiles(
        kind=kind,
        files={name: file.sha256 for name, file in files.items()},
        file_sizes={name: file.nbytes for name, file in files.items()},
    )
    return SharedFolder(kind, _name(folder, root), SHARED_FILES, record.file_text().encode(), files)


def _files(folder: Path, top: Path, elsewhere: set[Path]) -> dict[str, SharedFile]:
    """Files below `folder`, without hidden ones, links that lead out of it, and folders that go by themselves."""
    found: dict[str, SharedFile] = {}
    for path in files_below(folder):
        name = path.relative_to(top).as_posix()
        if _is_hidden(path, top) or name == SHARED_FILES or any(map(_is_made_again, path.parents)):
            continue
        if any(parent in elsewhere and folder in parent.parents for parent in path.parents):
            continue
        if not is_plain_name(name):
            raise StorageError(
                f"{path} has a name that not every system takes: letters, digits and '_', '.', '-', '+', '=', ',', '@' are. Rename it, then push again."
            )
        found[name] = _file(path)
    return found


def _file(path: Path, expected: str | None = None) -> SharedFile:
    before = _stamp(path)
    with reading_errors(path, StorageError):
        found = unchanged_file_sha256(path)
    if expected is not None and found != expected:
        raise CorruptSetError(f"not sent: {path} was changed after it was verified. Push again.")
    return SharedFile(path, found, before)


def _stamp(path: Path) -> tuple[int, int, int]:
    with reading_errors(path, StorageError):
        now = path.stat()
    return now.st_size, now.st_mtime_ns, now.st_ino


def _name(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()


def _is_made_again(folder: Path) -> bool:
    return folder.name in _MADE_AGAIN and _OUTCOMES in (folder.parent.name, folder.parent.parent.parent.name)


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
