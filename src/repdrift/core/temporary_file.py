"""Temporary files beside the file that is being written, and the removal of those whose writers were killed."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":  # Windows removes no file that is open
    import fcntl

TEMPORARY_SUFFIX = ".partial"
_RANDOM = r"[a-z0-9_]{8}"
"""What `tempfile.mkstemp` puts into a name."""


@contextmanager
def temporary_beside(path: Path) -> Generator[Path]:
    """Yields an empty temporary file in the folder of `path`, locked for as long as it is open; removes those of dead writers.

    The caller renames or removes it. Raises OSError if it cannot be made.
    """
    _remove_abandoned(path)
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX)
        try:
            _lock(handle, wait=True)
            if not _has_name(handle, name):
                continue  # between its making and its lock it was taken for a dead writer's
            if sys.platform == "win32":
                os.close(handle)
                handle = -1
            yield Path(name)
            return
        finally:
            if handle >= 0:
                os.close(handle)  # this releases the lock


def _remove_abandoned(path: Path) -> None:
    """Removes temporary files for `path` on which nobody has a lock. The system releases the locks of a process that died.

    A file system without locks keeps them all.
    """
    name_of_one = re.compile(rf"\.{re.escape(path.name)}\.{_RANDOM}{re.escape(TEMPORARY_SUFFIX)}")
    try:
        found = [entry.path for entry in os.scandir(path.parent) if name_of_one.fullmatch(entry.name)]
    except OSError:
        return  # writing says why
    for name in found:
        with suppress(OSError):
            _remove_unless_locked(name)


def _remove_unless_locked(name: str) -> None:
    if sys.platform == "win32":
        Path(name).unlink()
        return
    handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(handle, wait=False) and _has_name(handle, name):
            Path(name).unlink()
    finally:
        os.close(handle)


def _lock(handle: int, *, wait: bool) -> bool:
    """Locks an open file; returns whether this process has the lock now."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _has_name(handle: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(name))
    except FileNotFoundError:
        return False
