"""The end of a job's process: asked for, waited for, and written into the job's state if the process did not do so itself."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from repdrift.study.jobs.job_state import settle_state

STOPPED_WITHIN_S = 20.0


def end_process(process: subprocess.Popen[str], within_s: float = STOPPED_WITHIN_S) -> bool:
    """Ask a process to end by SIGTERM, and wait for it as `wait_or_kill` does; returns whether it had to be killed."""
    if process.poll() is None:
        process.terminate()
    return wait_or_kill(process, within_s)


def wait_or_kill(process: subprocess.Popen[str], within_s: float = STOPPED_WITHIN_S) -> bool:
    """Wait until a process has ended, and kill it if it has not within some seconds; returns whether it had to be killed.

    An interrupt meanwhile, such as a second Ctrl-C or Ray's next try to cancel, is raised when the process has ended, so that none is left behind.
    """
    until = time.monotonic() + within_s
    interrupt: KeyboardInterrupt | None = None
    was_killed = False
    while process.poll() is None:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except KeyboardInterrupt as error:
            interrupt = error
        except subprocess.TimeoutExpired:
            process.kill()
            was_killed, until = True, time.monotonic() + within_s
    if interrupt is not None:
        raise interrupt
    return was_killed


def settle(folder: Path, job: str, process: subprocess.Popen[str], *, was_killed: bool) -> None:
    """Write that a job's process has ended into its state, if that says that it runs. folder: the study's jobs folder."""
    words = (
        "it did not stop when it was asked to, and was killed"
        if was_killed
        else f"its process {how_it_ended(process.returncode)}"
    )
    settle_state(folder, job, process.pid, "stopped" if was_killed else "lost", words)


def how_it_ended(exit_code: int) -> str:
    """Says by which signal a process ended, or with which code."""
    if exit_code >= 0:
        return f"ended with code {exit_code}"
    killed = ", as the system does when memory runs out" if exit_code == -9 else ""
    return f"was ended by signal {-exit_code}{killed}"
