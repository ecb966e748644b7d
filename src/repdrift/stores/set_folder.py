"""The folder of a representation set: names of its files, its lock, and the steps by which files move or go.

Each step may be the last one before a crash. Their order keeps a half-made or half-removed set from looking finished.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self, get_args

from filelock import FileLock, Timeout

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import StorageError
from repdrift.core.progress import say
from repdrift.core.reading import listed_folder
from repdrift.core.records.representation_set import ADAPTER_FOLDER, METADATA_FILE, PayloadFormat
from repdrift.core.records.sites import RESID_POST, SiteLayer, is_site_stem
from repdrift.core.temporary_file import TEMPORARY_SUFFIX
from repdrift.stores.disk import free_bytes, not_enough_space, space_taken, sync_folder, writing

UNFINISHED_FOLDER = ".partial"
"""Below the set's folder: the files of an unfinished set, under their final names, and its journals."""
LOCK_SUFFIX = ".lock"
"""Ends the name of the lock file, which is empty, hidden, and lies beside the set's folder."""

_ADAPTER_NAME = re.compile(rf"{ADAPTER_FOLDER}/lora_[AB]_layer_(\d+)\.pt")
_ASK_EVERY_S = 0.2


def layer_name(layer: int, payload: PayloadFormat) -> str:
    """The name of one layer's file, below the set's folder."""
    return place_name(SiteLayer(RESID_POST, layer), payload)


def place_name(place: SiteLayer, payload: PayloadFormat) -> str:
    """The name of the file of a site at a layer, below the set's folder."""
    return f"{place.stem}.{payload}"


def adapter_name(letter: str, layer: int) -> str:
    """The name of the file that holds LoRA matrix `A` or `B` of one block, below the set's folder."""
    return f"{ADAPTER_FOLDER}/lora_{letter}_layer_{layer}.pt"


def is_layer_name(name: str) -> bool:
    """Tell whether `name` is the name of a layer's file. Every set has one; what has none, such as a lone `embeddings.pt`, is no set."""
    return is_site_name(name) and name.startswith("layer_")


def is_site_name(name: str) -> bool:
    """Tell whether `name` is the name of the file of a layer, at any site."""
    stem, _, payload = name.rpartition(".")
    return payload in get_args(PayloadFormat) and is_site_stem(stem)


def is_payload_name(name: str) -> bool:
    """Tell whether `name`, a path below the set's folder with forward slashes, can be a payload file of a set."""
    return is_site_name(name) or _ADAPTER_NAME.fullmatch(name) is not None


class SetLock:
    """The lock of the set in `folder`: one process at a time holds it, another one waits.

    Makes the folder if it is absent. The system frees the lock when its holder dies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder.absolute().parent / f".{folder.absolute().name}{LOCK_SUFFIX}"
        self._lock = FileLock(self._path, thread_local=False)

    def __enter__(self) -> Self:
        with storage_errors(self._path):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                say(f"{self._folder} is being written by another process: waiting until it is done")
                self._lock.acquire(poll_interval=_ASK_EVERY_S)
        return self

    def __exit__(self, *_: object) -> None:
        # The name is removed while the lock is held. A process that has opened the file meanwhile finds, once it gets
        # the lock, that the file has no name any more, and takes a new one (filelock from 3.24 on). Windows does not
        # remove an open file: there it stays.
        with suppress(OSError):
            self._path.unlink()
        self._lock.release()


def clear_for_new_set(folder: Path) -> None:
    """Remove the set in `folder`, finished or not, and leave an empty `.partial`."""
    with writing(folder):
        unfinished = folder / UNFINISHED_FOLDER
        if unfinished.exists():
            # The journals go first: without a header, what is half removed is never taken for a set to go on with.
            for journal in sorted(unfinished.glob("journal*")):
                journal.unlink()
            shutil.rmtree(unfinished)
        remove_finished_files(folder)
        unfinished.mkdir(parents=True)
        sync_folder(folder)


def require_space(folder: Path, needed: int) -> None:
    """Check that `needed` bytes fit into `folder` once clear_for_new_set() has run. Raises StorageError if not."""
    unfinished = folder / UNFINISHED_FOLDER
    removed = [*_payload_files(folder), *(path for path in unfinished.rglob("*") if path.is_file())]
    free = free_bytes(folder) + sum(map(space_taken, removed))
    if needed > free:
        raise not_enough_space(folder, needed, free)


def require_no_folders(folder: Path, names: Iterable[str]) -> None:
    """Raises StorageError if a folder stands where a file of the set belongs, before anything of the old set is removed."""
    adapters = folder / ADAPTER_FOLDER
    inside = listed_folder(adapters) if adapters.is_dir() else []
    for path in (*(folder / name for name in (*names, METADATA_FILE)), *inside):
        if path.is_dir() and not path.is_symlink():
            raise StorageError(
                f"cannot write {path}: a folder stands where the file belongs. Move it away, and run the same command again."
            )


def remove_finished_files(folder: Path, *, keep: Container[str] = ()) -> None:
    """Remove the files of the finished set in `folder`, metadata first: what is half removed never looks finished.

    keep: names of payload files to leave, below the folder.
    """
    (folder / METADATA_FILE).unlink(missing_ok=True)
    for path in _payload_files(folder):
        if path.relative_to(folder).as_posix() not in keep:
            path.unlink()
    remove_temporaries(folder)
    if (folder / ADAPTER_FOLDER).is_dir() and not any((folder / ADAPTER_FOLDER).iterdir()):
        (folder / ADAPTER_FOLDER).rmdir()


def discard_set(folder: Path) -> bool:
    """Remove the set in `folder`, finished or not, and the folder if nothing else is in it.

    Returns whether there was a set.
    """
    if not folder.is_dir():
        return False
    with SetLock(folder), writing(folder):
        held_a_set = (folder / METADATA_FILE).exists() or (folder / UNFINISHED_FOLDER).exists()
        if held_a_set:
            clear_for_new_set(folder)
            (folder / UNFINISHED_FOLDER).rmdir()
        if not any(folder.iterdir()):
            folder.rmdir()
    return held_a_set


def move_into_place(folder: Path, names: Iterable[str]) -> None:
    """Move finished files from `.partial` to the set's folder, and make the moves last through a power cut."""
    with writing(folder):
        folders = {folder}
        for name in names:
            target = folder / name
            if target.parent not in folders:
                target.parent.mkdir(exist_ok=True)
                folders.add(target.parent)
            (folder / UNFINISHED_FOLDER / name).replace(target)
        for touched in folders:
            sync_folder(touched)


def move_back(folder: Path) -> None:
    """Move files back into `.partial` which a finish had moved into place before it was cut short.

    Files beside a metadata.json belong to another set, which was put here since: they are removed.
    """
    with writing(folder):
        if not (folder / METADATA_FILE).exists():
            for path in _payload_files(folder):
                target = folder / UNFINISHED_FOLDER / path.relative_to(folder)
                if not target.exists():
                    target.parent.mkdir(exist_ok=True)
                    path.replace(target)
        remove_finished_files(folder)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of writers that were killed before they could rename them."""
    for path in [*folder.glob(f".*{TEMPORARY_SUFFIX}"), *folder.glob(f"{ADAPTER_FOLDER}/.*{TEMPORARY_SUFFIX}")]:
        if path.is_file():
            path.unlink()


def _payload_files(folder: Path) -> list[Path]:
    candidates = [*folder.glob("*"), *folder.glob(f"{ADAPTER_FOLDER}/*")]
    return [path for path in candidates if path.is_file() and is_payload_name(path.relative_to(folder).as_posix())]
