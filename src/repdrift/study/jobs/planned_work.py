"""Runs one job as launchers need it: claimed, with its state and its log kept, and with an ending in place of an exception."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.atomic import is_no_space
from repdrift.core.errors import RepdriftError, StorageError
from repdrift.core.progress import heard_by
from repdrift.core.refusals import refused
from repdrift.study.jobs.claims import job_claim, starting_guard
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import (
    JobState,
    Outcome,
    append_to_log,
    heartbeats,
    log_file,
    new_state,
    now,
    read_state,
    state_file,
)
from repdrift.study.jobs.launcher import Ending, JobReport
from repdrift.study.jobs.plan_file import newer_plan
from repdrift.study.jobs.work import StudyWork


def run_claimed(
    work: StudyWork, job: StudyJob, folder: Path, plan_digest: str, launcher: str, *, keeps_log: bool
) -> JobReport:
    """Run one job if no other process is at it, and keep its state in `folder`. keeps_log: its lines of progress go into its log too.

    What goes wrong becomes the ending and the words of the report; a defect of ours leaves as it is, after the state says so. KeyboardInterrupt
    leaves too, with the state `stopped`.
    """
    with ExitStack() as stack:
        clock = time.perf_counter()
        begun = _Begun()
        outcome: Outcome = "failed"
        words = "a defect of repdrift; the log has where"
        kept: JobState | None = None
        try:
            state = _begin(begun, stack, folder, job, plan_digest, launcher)
            if isinstance(state, JobReport):
                return state
            with heard_by(_into_log(folder, job, state, keeps_log)), heartbeats(folder, state):
                ending, words, is_new = _ending(work, job)
            outcome = ending
            if (
                not is_new
                and begun.before is not None
                and (begun.before.outcome, begun.before.plan) == ("done", plan_digest)
            ):
                kept = begun.before  # which says how long the job took
        except StorageError as error:  # of the state's own file, or the claim's
            ending, words = _of_storage(error)
            outcome = ending
        except KeyboardInterrupt:
            outcome, words = "stopped", "stopped from the keyboard or by the system; it goes on from what is saved"
            raise
        finally:
            seconds = round(time.perf_counter() - clock, 2)
            if begun.state is not None:
                ended = {"outcome": outcome, "words": words, "ended": now(), "seconds": seconds}
                with suppress(StorageError):
                    (kept or begun.state.model_copy(update=ended)).write(state_file(folder, job))
        return JobReport(job.name, ending, words, seconds=seconds)


@dataclass
class _Begun:
    """The state of a job whose claim is held, from just before it is written; and the state that an earlier attempt left."""

    state: JobState | None = None
    before: JobState | None = None


def _begin(
    begun: _Begun, stack: ExitStack, folder: Path, job: StudyJob, plan_digest: str, launcher: str
) -> JobState | JobReport:
    """Claims a job until the stack is left, and says in its state that it runs; or returns why it may not be run."""
    with starting_guard(folder):
        if not stack.enter_context(job_claim(folder, job)):
            return JobReport(job.name, "busy", _holder(read_state(folder, job)))
        if (newer := newer_plan(folder, plan_digest)) is not None:
            return JobReport(job.name, "failed", newer)
        begun.before = read_state(folder, job)
        begun.state = new_state(job, plan_digest, launcher, begun.before)
        begun.state.write(state_file(folder, job))
        return begun.state


def _ending(work: StudyWork, job: StudyJob) -> tuple[Ending, str, bool]:
    """Runs a job; returns how it ended, what was done or went wrong, and whether anything was made."""
    try:
        done = work.run(job, wait=False)
    except StorageError as error:
        return (*_of_storage(error), True)
    except RepdriftError as error:
        return "failed", str(error), True
    except OSError as error:
        return "disk_full" if is_no_space(Path.cwd() / job.name, error) else "failed", refused(error), True
    if done is None:
        return "busy", "another process is training it", False
    return "done", done.words, done.is_new


def _of_storage(error: StorageError) -> tuple[Ending, str]:
    cause = error.__cause__
    full = isinstance(cause, Exception) and is_no_space(Path.cwd() / "x", cause)
    return ("disk_full" if full else "failed"), str(error)


def _into_log(folder: Path, job: StudyJob, state: JobState, keeps_log: bool) -> Callable[[str], object]:
    if not keeps_log:
        return lambda _line: None
    path = log_file(folder, job)
    append_to_log(path, f"--- {state.started}, attempt {state.attempt}, process {state.pid} on {state.host}\n")

    def write(line: str) -> None:
        with suppress(StorageError):
            append_to_log(path, f"{line}\n")

    return write


def _holder(state: JobState | None) -> str:
    if state is None or state.outcome != "running":
        return "another process is at it"
    return f"process {state.pid} on {state.host} is at it, since {state.started}"
