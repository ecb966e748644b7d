"""The claim on a run: one process trains it; others wait for it, or train another run meanwhile."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from repdrift.core.atomic import storage_errors, write_text
from repdrift.core.progress import say

CLAIMS_FOLDER = ".claims"
"""Below a study's results: one lock file for each run that is being trained."""
_ASK_EVERY_S = 0.5


@contextmanager
def run_claim(results_dir: Path, key: str, what: str, *, wait: bool) -> Generator[bool]:
    """Claims the run with this key; yields whether this process holds the claim.

    what: the run in words, for messages. wait: wait until another process has released the claim; else yield False at
    once. The system releases the claim of a process that died.
    """
    lock_file = results_dir / CLAIMS_FOLDER / f"{key[:32]}.lock"
    owner_file = lock_file.with_suffix(".owner")
    lock = FileLock(lock_file, thread_local=False)
    if not _acquired(lock, lock_file, timeout_s=0):
        if not wait:
            yield False
            return
        say(f"{what} is being trained by {_owner(owner_file)}: waiting until it is done")
        _acquired(lock, lock_file, timeout_s=-1)
    try:
        write_text(
            owner_file,
            f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n",
        )
        yield True
    finally:
        # The names go while the lock is held; who has opened the file meanwhile takes a new one (filelock from 3.24 on).
        with suppress(OSError):
            owner_file.unlink()
            lock_file.unlink()
        lock.release()


def _acquired(lock: FileLock, path: Path, *, timeout_s: float) -> bool:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=timeout_s, poll_interval=_ASK_EVERY_S)
        except Timeout:
            return False
    return True


def _owner(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"
