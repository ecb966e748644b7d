"""The drivers at work on one study: those of one configuration share its jobs, and one of another configuration is refused.

A driver holds the lock of a file of its own for as long as it lives; the system releases it when the process dies. No clock decides.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, DataError, StorageError
from repdrift.core.progress import say
from repdrift.core.reading import listed_folder
from repdrift.core.records.base import Record
from repdrift.study.configuration_differences import field_differences
from repdrift.study.jobs.job_state import now, this_host
from repdrift.study.jobs.plan_file import PLAN_FILE, StudyPlan, read_plan

DRIVERS_FOLDER = "drivers"
_GUARD = ".guard.lock"


class DriverRecord(Record):
    """A process that runs a study's jobs. slots: jobs at once; null: as many as its launcher takes."""

    format_version: int = 1
    host: str
    pid: int
    since: str
    """By the clock of `host`, in UTC."""
    plan: str
    """Digest of its configuration."""
    launcher: str
    slots: int | None

    @property
    def words(self) -> str:
        """The process in words."""
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def driving(folder: Path, plan: StudyPlan, launcher: str, slots: int | None) -> Generator[None]:
    """Registers this process as a driver of the study inside the block; says which others share its jobs. folder: the study's jobs folder.

    Raises ConfigError if another process works on the study with another configuration, naming it and what differs.
    """
    at = folder / DRIVERS_FOLDER
    mine = at / f"{uuid.uuid4().hex}.json"
    lock = FileLock(mine.with_suffix(".lock"), thread_local=False)
    with storage_errors(mine):
        at.mkdir(parents=True, exist_ok=True)
        with FileLock(at / _GUARD):
            _remove_dead(at)
            for other in living_drivers(folder):
                if other.plan != plan.digest:
                    raise ConfigError(_refusal(folder, plan, other))
                say(f"{other.words} works on this study too: each job is run by one of the two")
            lock.acquire()
            DriverRecord(
                host=this_host(), pid=os.getpid(), since=now(), plan=plan.digest, launcher=launcher, slots=slots
            ).write(mine)
    try:
        yield
    finally:
        _remove(mine)
        lock.release()


def living_drivers(folder: Path) -> list[DriverRecord]:
    """The drivers of a study whose processes live. folder: the study's jobs folder. Files of dead ones are passed over."""
    at = folder / DRIVERS_FOLDER
    found: list[DriverRecord] = []
    if not at.is_dir():
        return found
    for path in listed_folder(at):
        if path.suffix != ".json" or not is_held(path.with_suffix(".lock")):
            continue
        with suppress(DataError, StorageError):
            found.append(DriverRecord.read(path))
    return found


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


def _refusal(folder: Path, plan: StudyPlan, other: DriverRecord) -> str:
    differ = ""
    with suppress(DataError, StorageError):
        theirs = read_plan(folder / PLAN_FILE)
        found = field_differences(theirs.config, plan.config) if theirs.digest == other.plan else []
        parts = list(map(str, found[:4]))
        if theirs.digest == other.plan and theirs.tasks != plan.tasks:
            parts.append(f"tasks {', '.join(theirs.tasks)} -> {', '.join(plan.tasks)}")
        differ = f" ({'; '.join(parts)})" if parts else ""
    return (
        f"{other.words} works on this study with another configuration{differ}. In one results folder the two would write over each other's files. Wait until "
        f"it is done, stop it, or choose another results_dir than {folder.parent}"
    )


def _remove_dead(at: Path) -> None:
    for path in listed_folder(at):
        if path.suffix == ".json" and not is_held(path.with_suffix(".lock")):
            _remove(path)


def _remove(path: Path) -> None:
    for each in (path, path.with_suffix(".lock")):
        with suppress(OSError):
            each.unlink()
