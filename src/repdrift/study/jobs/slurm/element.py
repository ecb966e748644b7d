"""One element of a job array, as it runs on its node: it starts `repdrift job`, stops it before the time limit, and writes how it ended.

submitit starts it, and requeues it when Slurm warns of the time limit or of a preemption. Little is imported here, since the job itself runs in a
process of its own, whose threads are set before its libraries are loaded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submitit.helpers import Checkpointable

from repdrift.core.errors import StorageError
from repdrift.study.jobs.ended_process import end_process, settle
from repdrift.study.jobs.job_command import with_parent
from repdrift.study.jobs.slurm.array_files import ElementEnding, ending_file

_STOPPED_WITHIN_S = 25.0
_BY_ITSELF = frozenset({0, 1, 5, 6, 7})
"""Exit codes of `repdrift job`. Any other means that it was stopped or killed, and then Slurm says whether it starts the element again."""
_FAILED = 1
_STOPPED = frozenset({130, -signal.SIGTERM})


@dataclass
class ArrayElement(Checkpointable):
    """Runs one job of a plan. command: of `repdrift job`, which is told the process of this element and stops if that is gone. environment: what it changes of the node's. requeues: starts after the first one, at most.

    stopped_wait_s: a job that Slurm stopped by SIGTERM waits so long for the end that Slurm has in mind: if it ended by itself during the grace of a
    preemption, it would not be queued again.
    """

    command: list[str]
    job: str
    jobs_folder: str
    token: str
    environment: dict[str, str]
    requeues: int
    stopped_wait_s: float = 300.0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __call__(self) -> None:
        """Run the job until it ends. Leaves by SystemExit with the job's exit code unless it is done."""
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0") or 0)
        began = time.monotonic()
        if restarts > self.requeues:
            words = f"{self.job}: failed: Slurm has started it {restarts} times again, and {self.requeues} is the limit"
            self._end_with(_FAILED, f"{words}; --launcher-option requeues={2 * restarts} allows more", restarts, began)
        printed = self._run()
        assert self._process is not None  # noqa: S101  it was just run
        code = self._process.returncode
        if code in _BY_ITSELF:
            self._end_with(code, printed, restarts, began)
            return
        sys.stderr.write(f"{self.job} did not end by itself: {printed[-2000:]}\n")
        settle(Path(self.jobs_folder), self.job, self._process, was_killed=False)
        if code in _STOPPED and "SLURM_JOB_ID" in os.environ:
            sys.stderr.write("it was stopped, and waits for Slurm to end it or to queue it again\n")
            sys.stderr.flush()
            time.sleep(self.stopped_wait_s)
        raise SystemExit(code if code > 0 else 128 - code)

    def checkpoint(self) -> Any:
        """Stop the job, which keeps what it has saved; returns what submitit is to start after the requeue."""
        self._stop()
        self._process = None
        return super().checkpoint()

    def _run(self) -> str:
        # Slurm sends the warning to every process of the job. Only this one answers it: a blocked signal stays blocked in the process that is started.
        warned = {signal.SIGUSR1, signal.SIGUSR2}
        signal.pthread_sigmask(signal.SIG_BLOCK, warned)
        try:
            self._process = subprocess.Popen(  # noqa: S603  this program itself
                with_parent(self.command),
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="backslashreplace",
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, warned)
        try:
            printed, _ = self._process.communicate()
        finally:
            self._stop()
        return printed

    def _stop(self) -> None:
        if self._process is not None:
            end_process(self._process, _STOPPED_WITHIN_S)

    def _end_with(self, code: int, printed: str, restarts: int, began: float) -> None:
        """Write how the job ended, and leave with its exit code unless that is 0."""
        ending = ElementEnding(
            job=self.job,
            exit_code=code,
            host=os.uname().nodename,
            seconds=round(time.monotonic() - began, 1),
            restarts=restarts,
            printed=printed[-4000:],
        )
        with suppress(StorageError):  # of a full disk: then Slurm has the exit code
            ending.write(ending_file(Path(self.jobs_folder), self.token))
        if code:
            raise SystemExit(code)
