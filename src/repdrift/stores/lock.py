"""One process at a time writes a representation set; another one that wants it waits."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from repdrift.core.atomic import storage_errors
from repdrift.core.progress import say
from repdrift.stores.names import LOCK_SUFFIX

_ASK_EVERY_S = 0.2


class SetLock:
    """The lock of the set in `folder`, which is made if absent. The system frees it when its holder dies."""

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
        # While it is still held: whoever has opened this file meanwhile finds, once it is free, that it has no name any
        # more, and takes a new one (filelock from 3.24 on). Windows does not remove what is open, and keeps it.
        with suppress(OSError):
            self._path.unlink()
        self._lock.release()
