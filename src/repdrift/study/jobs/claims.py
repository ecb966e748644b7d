"""Locks that say who is at work: the claim on a job, and the guard under which jobs and studies begin.

The system releases the lock of a process that died. No clock decides.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from repdrift.core.atomic import storage_errors
from repdrift.study.jobs.graph import StudyJob

DRIVERS_FOLDER = "drivers"
_GUARD = ".guard.lock"
_PROBE_S = 0.3
"""Waited for a claim before it counts as another's: a look at the lock holds it for a moment."""


@contextmanager
def starting_guard(folder: Path) -> Generator[None]:
    """Holds the one lock of a study under which a job claims its work and a driver makes its plan the current one. folder: the study's jobs folder.

    So no job of an earlier plan begins between a driver's look at what runs and its new plan. Nobody holds it for longer than some files take.
    """
    path = folder / DRIVERS_FOLDER / _GUARD
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def job_claim(folder: Path, job: StudyJob) -> Generator[bool]:
    """Claims a job; yields whether this process holds the claim. folder: the study's jobs folder."""
    path = lock_file(folder, job)
    lock = FileLock(path, thread_local=False)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=_PROBE_S)
        except Timeout:
            yield False
            return
    try:
        yield True
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held; who has opened the file meanwhile takes a new one (filelock from 3.24 on)
        lock.release()


def lock_file(folder: Path, job: StudyJob | str) -> Path:
    """The file whose lock is the claim on a job."""
    return folder / f"{job if isinstance(job, str) else job.name}.lock"


def is_held(lock_file: Path) -> bool:
    """Tells whether a living process holds the lock of a file. It is asked for a moment, and nothing is written but that file, if it is absent."""
    if not lock_file.is_file():
        return False
    lock = FileLock(lock_file, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
