"""Files of a set put in place, taken back, or removed: each step may be the last one before a crash."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from repdrift.core.atomic import TEMPORARY_SUFFIX
from repdrift.core.records.representation_set import ADAPTER_FOLDER, METADATA_FILE
from repdrift.stores.disk import free_bytes, not_enough_space, space_taken, sync_folder, writing
from repdrift.stores.lock import SetLock
from repdrift.stores.names import PARTIAL_FOLDER, is_payload_name


def begin_anew(folder: Path) -> None:
    """Remove the set in `folder`, metadata first, and the state of an unfinished one; leave an empty `.partial`."""
    with writing(folder):
        partial = folder / PARTIAL_FOLDER
        if partial.exists():
            # The header goes first: without it a half removed state is never taken for one that can be gone on with.
            for journal in sorted(partial.glob("journal*")):
                journal.unlink()
            shutil.rmtree(partial)
        remove_set(folder)
        partial.mkdir(parents=True)
        sync_folder(folder)


def require_space(folder: Path, needed: int) -> None:
    """Raises StorageError unless `needed` bytes fit into `folder` once what begin_anew() removes is gone."""
    partial = folder / PARTIAL_FOLDER
    goes = [*_payload_files(folder), *(path for path in partial.rglob("*") if path.is_file())]
    free = free_bytes(folder) + sum(map(space_taken, goes))
    if needed > free:
        raise not_enough_space(folder, needed, free)


def remove_set(folder: Path) -> None:
    """Remove the set in `folder`, its metadata first, so that what is half removed never looks finished."""
    (folder / METADATA_FILE).unlink(missing_ok=True)
    for path in _payload_files(folder):
        path.unlink()
    remove_temporaries(folder)
    if (folder / ADAPTER_FOLDER).is_dir() and not any((folder / ADAPTER_FOLDER).iterdir()):
        (folder / ADAPTER_FOLDER).rmdir()


def discard_set(folder: Path) -> bool:
    """Remove whatever set lies in `folder`, finished or not, and the folder if nothing else is in it; whether one did."""
    if not folder.is_dir():
        return False
    with SetLock(folder), writing(folder):
        held = (folder / METADATA_FILE).exists() or (folder / PARTIAL_FOLDER).exists()
        if held:
            begin_anew(folder)
            (folder / PARTIAL_FOLDER).rmdir()
        if not any(folder.iterdir()):
            folder.rmdir()
    return held


def take_back(folder: Path) -> None:
    """Bring what a finish that was cut short had put in place back into `.partial`.

    Files beside a metadata.json are of another set, put here since: they are removed.
    """
    with writing(folder):
        if not (folder / METADATA_FILE).exists():
            for path in _payload_files(folder):
                target = folder / PARTIAL_FOLDER / path.relative_to(folder)
                if not target.exists():
                    target.parent.mkdir(exist_ok=True)
                    path.replace(target)
        remove_set(folder)


def put_in_place(folder: Path, names: Iterable[str]) -> None:
    """Move finished files from `.partial` to the set's folder, for good."""
    with writing(folder):
        folders = {folder}
        for name in names:
            target = folder / name
            if target.parent not in folders:
                target.parent.mkdir(exist_ok=True)
                folders.add(target.parent)
            (folder / PARTIAL_FOLDER / name).replace(target)
        for touched in folders:
            sync_folder(touched)


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that were killed had not yet renamed."""
    for path in [*folder.glob(f".*{TEMPORARY_SUFFIX}"), *folder.glob(f"{ADAPTER_FOLDER}/.*{TEMPORARY_SUFFIX}")]:
        if path.is_file():
            path.unlink()


def _payload_files(folder: Path) -> list[Path]:
    candidates = [*folder.glob("*"), *folder.glob(f"{ADAPTER_FOLDER}/*")]
    return [path for path in candidates if path.is_file() and is_payload_name(path.relative_to(folder).as_posix())]
