"""The launcher without processes: jobs are run in the driver's own process, one after another, and share what they have loaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from threadpoolctl import threadpool_limits

from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.launcher import JobReport, LauncherKind, LauncherOptions, LaunchSetting, StartedJob, register
from repdrift.study.jobs.planned_work import run_claimed

NAME = "in-process"


class InProcess:
    """Runs one job at a time, when the driver asks for reports; with as many CPU threads as were asked for, or as this process has."""

    slots: int | None = 1

    def __init__(self, setting: LaunchSetting, _options: LauncherOptions) -> None:
        self._setting = setting
        self._queue: deque[StudyJob] = deque()
        self._limits = ExitStack()
        if setting.threads is not None:
            self._limits.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(setting.threads)
            self._limits.enter_context(threadpool_limits(setting.threads))

    def begin(self) -> None:
        """Nothing waits for the plan."""

    def submit(self, jobs: Sequence[StudyJob]) -> None:
        """Queue jobs."""
        self._queue.extend(jobs)

    def reports(self, timeout_s: float) -> Sequence[JobReport | StartedJob]:
        """Run the next job of the queue, and tell how it ended."""
        del timeout_s  # a job takes as long as it takes
        if not self._queue:
            return []
        setting, job = self._setting, self._queue.popleft()
        return [run_claimed(setting.work, job, setting.folder, setting.plan.digest, NAME, keeps_log=True)]

    def cancel(self, jobs: Sequence[str]) -> None:
        """Take jobs out of the queue."""
        self._queue = deque(job for job in self._queue if job.name not in jobs)

    def shut_down(self) -> None:
        """Forget the queue, and give the threads back."""
        self._queue.clear()
        self._limits.close()


register(
    LauncherKind(
        NAME,
        "one job after another in this process",
        InProcess,
        needs_plan_file=False,
        runs_finished=True,
    )
)
