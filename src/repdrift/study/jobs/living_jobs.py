"""The jobs that processes are at just now, whoever started them: a driver, an array of Slurm, a node of Ray, or a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from repdrift.core.errors import StorageError
from repdrift.core.reading import files_below
from repdrift.study.jobs.claims import is_held, lock_file
from repdrift.study.jobs.graph import KINDS
from repdrift.study.jobs.job_state import HEARTBEAT_S, JobState, read_state, state_file, this_host

_SILENT_S = 8 * HEARTBEAT_S


def all_states(folder: Path) -> Iterator[JobState]:
    """The state of every job that was ever begun, of other seeds and configurations too. folder: the study's jobs folder."""
    for path in files_below(folder) if folder.is_dir() else []:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix == ".json" and name.split("/")[0] in KINDS:
            state = read_state(folder, name)
            if state is not None:
                yield state


def living_jobs(folder: Path) -> list[JobState]:
    """The states of the jobs whose processes live. folder: the study's jobs folder."""
    return [state for state in all_states(folder) if state.outcome == "running" and lives(state, folder)]


def lives(state: JobState, folder: Path) -> bool:
    """Tells whether the process of a running job lives.

    On this machine its lock tells. On another one the lock, where the file system has locks that reach it, or else its signs of life:
    the time of its state's file against that of the newest file of any job, both by the file server's clock.
    """
    if is_held(lock_file(folder, state.job)):
        return True
    if state.host == this_host():
        return False
    try:
        newest = max(path.stat().st_mtime for path in files_below(folder))
        return newest - state_file(folder, state.job).stat().st_mtime < _SILENT_S
    except (OSError, StorageError, ValueError):
        return False
