"""Words on how an element of an array ended, for the driver: by its own ending, or by what Slurm says of one that left none."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.shown_text import for_terminal
from repdrift.study.jobs.launcher import Ending, JobReport
from repdrift.study.jobs.slurm.array_files import ElementEnding, SubmittedArray
from repdrift.study.jobs.slurm.queue import ElementState
from repdrift.study.jobs.worker import ending_of

_MORE_TIME = "--launcher-option time=HH:MM:SS gives more"


def report_of_ending(ending: ElementEnding) -> JobReport:
    """The report of a job whose process ended by itself; its words are what it printed last."""
    how = ending_of(ending.exit_code)
    return JobReport(ending.job, how, for_terminal(_printed_reason(ending, how)), ending.host, ending.seconds)


def _printed_reason(ending: ElementEnding, how: Ending) -> str:
    """Finds what `repdrift job` printed last: its own sentence, an error of a user's, or the last line of a defect."""
    printed = " ".join(ending.printed.split())
    for mark in (f"{ending.job}: {how.replace('_', ' ')}: ", "repdrift: error: "):
        if mark in printed:
            return printed.rpartition(mark)[2][-2000:]
    lines = [line.strip() for line in ending.printed.splitlines() if line.strip()]
    return f"a defect of repdrift ({lines[-1][:300]}); the log has where" if lines else "it said nothing"


def report_of_state(job: str, state: ElementState, array: SubmittedArray, log: Path) -> JobReport:
    """The report of a job that left no ending, by Slurm's state of its element. log: what it printed."""
    how = (
        _ending_by_code(state)
        if state.standing in ("ended", "gone")
        else "failed"
        if state.standing == "failed"
        else "lost"
    )
    return JobReport(job, how, for_terminal(f"{_words(state, array)} (log: {log})"), state.node)


def _ending_by_code(state: ElementState) -> Ending:
    """Reads the exit code that Slurm kept; a job of a full disk, say, could write no ending."""
    return "lost" if state.exit_code is None or state.exit_code < 0 else ending_of(state.exit_code)


def _words(state: ElementState, array: SubmittedArray) -> str:
    asked = "the partition's default" if array.memory_gb is None else f"{array.memory_gb:g} GB"
    known = {
        "OUT_OF_MEMORY": f"Slurm killed it for want of memory; it had asked for {asked}. Give more: --launcher-option memory=64GB, or a smaller batch_size",
        "TIMEOUT": f"Slurm ended it at its time limit of {array.time_limit_min} minutes before it could stop by itself; {_MORE_TIME}",
        "DEADLINE": "Slurm ended it at a deadline",
        "CANCELLED": "it was cancelled in Slurm (scancel)",
        "PREEMPTED": "it was preempted, and not queued again by Slurm",
        "NODE_FAIL": "its node failed",
        "BOOT_FAIL": "its node did not start",
        "": "Slurm does not know it any more, and it left no ending",
    }
    if state.state in known:
        return known[state.state]
    if state.exit_code is None:
        return f"it ended without saying how (Slurm: {state.state})"
    how = f"code {state.exit_code}" if state.exit_code >= 0 else f"signal {-state.exit_code}"
    return f"it ended with {how}, and could not write why (Slurm: {state.state})"
