"""The state of each job, in a file that the process at the job keeps: where it runs, since when, its sign of life, and how it ended.

What is finished is never decided from these files but from a job's outputs. They say what goes on, and how long jobs took.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import DataError, StorageError
from repdrift.core.progress import latest_progress
from repdrift.core.reading import stands_there
from repdrift.core.records.base import Record
from repdrift.study.jobs.graph import StudyJob

HEARTBEAT_S = 15.0

Outcome = Literal["running", "done", "failed", "busy", "not_ready", "lost", "disk_full", "stopped"]


class JobState(Record):
    """One job, as the process at it last wrote. heartbeat: a count that grows while that process lives; its clock is never compared with another's."""

    format_version: int = 1
    job: str
    plan: str
    """Digest of the plan that the job was run from."""
    host: str
    pid: int
    launcher: str
    attempt: int = 1
    outcome: Outcome = "running"
    words: str | None = None
    """What was done, or why it failed."""
    started: str
    """By the clock of `host`, in UTC."""
    ended: str | None = None
    seconds: float | None = None
    """By a monotone clock of `host`."""
    heartbeat: int = 0
    progress: str | None = None
    """How far the job was at the last heartbeat, in words."""


def state_file(folder: Path, job: StudyJob | str) -> Path:
    """The file of a job's state. folder: the study's jobs folder."""
    return folder / f"{job if isinstance(job, str) else job.name}.json"


def log_file(folder: Path, job: StudyJob | str) -> Path:
    """The file of what a job has printed."""
    return folder / f"{job if isinstance(job, str) else job.name}.log"


def read_state(folder: Path, job: StudyJob | str) -> JobState | None:
    """Returns the state of a job; None if there is none, or it cannot be read."""
    path = state_file(folder, job)
    try:
        return JobState.read(path) if stands_there(path) else None
    except (DataError, StorageError):
        return None


def this_host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def now() -> str:
    """The time by this machine's clock, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_state(job: StudyJob, plan_digest: str, launcher: str, before: JobState | None) -> JobState:
    """The state of a job that begins in this process. before: what an earlier attempt left."""
    attempt = 1 if before is None or before.outcome == "done" else before.attempt + 1
    return JobState(
        job=job.name,
        plan=plan_digest,
        host=this_host(),
        pid=os.getpid(),
        launcher=launcher,
        attempt=attempt,
        started=now(),
    )


def settle_state(folder: Path, job: str, process: int, outcome: Outcome, words: str) -> None:
    """Write how a job of this machine ended whose process is gone, if that process left a state that says that it runs.

    Its launcher calls it, which saw the process end: nobody else knows. A disk that takes no state stops nothing.
    """
    state = read_state(folder, job)
    if state is not None and (state.outcome, state.pid, state.host) == ("running", process, this_host()):
        ended = {"outcome": outcome, "words": words, "ended": now()}
        with suppress(StorageError):
            state.model_copy(update=ended).write(state_file(folder, job))


@contextmanager
def heartbeats(folder: Path, state: JobState, every_s: float = HEARTBEAT_S) -> Generator[None]:
    """Writes the state again and again from a thread while the block runs. A disk that takes no state stops no job."""
    stop = threading.Event()

    def beat() -> None:
        count = 0
        while not stop.wait(every_s):
            count += 1
            with suppress(StorageError):
                state.model_copy(update={"heartbeat": count, "progress": latest_progress()}).write(
                    state_file(folder, state.job)
                )

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def last_lines(folder: Path, job: StudyJob | str, count: int = 8) -> list[str]:
    """Returns the last lines of a job's log that are not empty; none if there is no log."""
    path = log_file(folder, job)
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - (1 << 16)))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def append_to_log(path: Path, text: str) -> None:
    """Add text to a log. Raises StorageError."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
