"""The claim on a job: one process is at it; the system releases the claim of a process that died."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from repdrift.core.atomic import storage_errors
from repdrift.study.jobs.graph import StudyJob

_PROBE_S = 0.3
"""Waited for a claim before it counts as another's: a look at the lock holds it for a moment."""


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
