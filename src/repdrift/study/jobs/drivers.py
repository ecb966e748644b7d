"""The drivers at work on one study: those of one configuration share its jobs, and one of another configuration is refused.

So is one that would start beside a job of another configuration, whoever runs it: a job in a queue outlives its driver.

A driver holds the lock of a file of its own for as long as it lives; the system releases it when the process dies. No clock decides.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, DataError, StorageError
from repdrift.core.progress import say
from repdrift.core.reading import listed_folder
from repdrift.core.records.base import Record
from repdrift.core.words import counted
from repdrift.study.configuration_differences import field_differences
from repdrift.study.jobs.claims import DRIVERS_FOLDER, is_held, starting_guard
from repdrift.study.jobs.job_state import JobState, now, this_host
from repdrift.study.jobs.living_jobs import living_jobs
from repdrift.study.jobs.plan_file import PLAN_FILE, StudyPlan, read_plan


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

    Raises ConfigError if another process works on the study, or on a job of it, with another configuration, naming it and what differs. The plan and
    everything else is then as it was.
    """
    at = folder / DRIVERS_FOLDER
    mine = at / f"{uuid.uuid4().hex}.json"
    lock = FileLock(mine.with_suffix(".lock"), thread_local=False)
    with storage_errors(mine), starting_guard(folder):
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
        require_no_other_jobs(folder, plan)
        yield
    finally:
        _remove(mine)
        lock.release()


def require_no_other_jobs(folder: Path, plan: StudyPlan) -> None:
    """Raises ConfigError if a living process is at a job of another configuration of the study. folder: the study's jobs folder."""
    others = [state for state in living_jobs(folder) if state.plan != plan.digest]
    if others:
        raise ConfigError(_jobs_refusal(folder, plan, others))


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


def _refusal(folder: Path, plan: StudyPlan, other: DriverRecord) -> str:
    return (
        f"{other.words} works on this study with another configuration{_difference(folder, plan, other.plan)}. In one results folder the two would write over "
        f"each other's files. Wait until it is done, stop it, or choose another results_dir than {folder.parent}"
    )


def _jobs_refusal(folder: Path, plan: StudyPlan, others: list[JobState]) -> str:
    first = others[0]
    more = f" (and {counted(len(others) - 1, 'other job')})" if len(others) > 1 else ""
    return (
        f"{first.job}{more} of this study runs with another configuration{_difference(folder, plan, first.plan)}: process {first.pid} on {first.host}, since "
        f"{first.started}, by the launcher {first.launcher!r}. In one results folder the two would write over each other's files, so nothing was begun. Wait until it "
        f"is done, stop it, or choose another results_dir than {folder.parent}. A machine that died counts as at work until its jobs were silent for two minutes"
    )


def _difference(folder: Path, plan: StudyPlan, digest: str) -> str:
    """Names what differs from the plan of this digest, in parentheses; empty if that is not the current plan, or cannot be read."""
    with suppress(DataError, StorageError):
        theirs = read_plan(folder / PLAN_FILE)
        if theirs.digest != digest:
            return ""
        parts = list(map(str, field_differences(theirs.config, plan.config)[:4]))
        if theirs.tasks != plan.tasks:
            parts.append(f"tasks {', '.join(theirs.tasks)} -> {', '.join(plan.tasks)}")
        return f" ({'; '.join(parts)})" if parts else ""
    return ""


def _remove_dead(at: Path) -> None:
    for path in listed_folder(at):
        if path.suffix == ".json" and not is_held(path.with_suffix(".lock")):
            _remove(path)


def _remove(path: Path) -> None:
    for each in (path, path.with_suffix(".lock")):
        with suppress(OSError):
            each.unlink()
