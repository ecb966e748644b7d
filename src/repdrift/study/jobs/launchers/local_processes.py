"""The launcher of local processes: N worker processes on this machine, each with its part of the cores and one GPU."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from repdrift.core.shown_text import for_terminal
from repdrift.study.jobs.ended_process import how_it_ended, settle, wait_or_kill
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import log_file
from repdrift.study.jobs.launcher import (
    JobReport,
    LauncherKind,
    LauncherOptions,
    LaunchSetting,
    StartedJob,
    register,
    usable_cores,
    worker_environment,
)
from repdrift.study.jobs.report_line import report_of_line

NAME = "local"


@dataclass
class _Worker:
    """A process that takes names of jobs on its input, one at a time, and writes one line when a job has ended."""

    number: int
    process: subprocess.Popen[str]
    job: StudyJob | None = None

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout is not None  # noqa: S101  it is a pipe
        return self.process.stdout


class LocalProcesses:
    """Runs as many jobs at once as there are workers. A worker is started when there is work for it, and goes on to the next job."""

    def __init__(self, setting: LaunchSetting, _options: LauncherOptions) -> None:
        self._setting = setting
        self.slots: int | None = setting.jobs
        self.threads = setting.threads or max(1, usable_cores() // setting.jobs)
        self._gpus = _gpus()
        self._queue: deque[StudyJob] = deque()
        self._workers: dict[int, _Worker] = {}
        self._news: list[JobReport | StartedJob] = []

    def begin(self) -> None:
        """Nothing waits for the plan: workers are started when there is work."""

    def submit(self, jobs: Sequence[StudyJob]) -> None:
        """Give jobs to workers that are free; others wait."""
        self._queue.extend(jobs)
        self._deal_out()

    def reports(self, timeout_s: float) -> Sequence[JobReport | StartedJob]:
        """Tell what ended; waits for the first worker that says something."""
        busy = [worker for worker in self._workers.values() if worker.job is not None]
        if busy and not self._news:
            with selectors.DefaultSelector() as selector:
                for worker in busy:
                    selector.register(worker.output, selectors.EVENT_READ, worker)
                for key, _ in selector.select(timeout_s):
                    self._hear(key.data)
        self._deal_out()
        news, self._news = self._news, []
        return news

    def cancel(self, jobs: Sequence[str]) -> None:
        """Take jobs out of the queue, and end the workers that are at one."""
        self._queue = deque(job for job in self._queue if job.name not in jobs)
        for worker in list(self._workers.values()):
            if worker.job is not None and worker.job.name in jobs:
                worker.process.terminate()
                self._end(worker)

    def shut_down(self) -> None:
        """End every worker; one that is at a job is told to stop, and then made to."""
        self._queue.clear()
        for worker in self._workers.values():
            if worker.job is not None:
                worker.process.terminate()
            elif worker.process.stdin is not None:
                worker.process.stdin.close()
        for worker in list(self._workers.values()):
            self._end(worker)

    def _deal_out(self) -> None:
        while self._queue:
            worker = self._free_worker()
            if worker is None:
                return
            job = self._queue.popleft()
            worker.job = job
            assert worker.process.stdin is not None  # noqa: S101  it is a pipe
            try:
                worker.process.stdin.write(f"{job.name}\n")
                worker.process.stdin.flush()
            except OSError:  # the worker died while it had nothing to do
                self._lost(worker)
                continue
            self._news.append(StartedJob(job.name, f"worker {worker.number}"))

    def _free_worker(self) -> _Worker | None:
        for worker in list(self._workers.values()):
            if worker.job is None and worker.process.poll() is not None:
                self._end(worker)
            elif worker.job is None:
                return worker
        if len(self._workers) >= self._setting.jobs:
            return None
        number = next(n for n in range(1, self._setting.jobs + 1) if n not in self._workers)
        gpu = self._gpus[(number - 1) % len(self._gpus)] if self._gpus else None
        process = subprocess.Popen(  # noqa: S603  this program itself
            worker_command(self._setting.plan_file),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(self.threads, gpu),
            text=True,
            start_new_session=True,  # Ctrl-C reaches the driver alone, which ends the workers
        )
        worker = self._workers[number] = _Worker(number, process)
        return worker

    def _hear(self, worker: _Worker) -> None:
        line = worker.output.readline()
        if not line:
            self._lost(worker)
            return
        report = report_of_line(line)
        if report is not None and worker.job is not None and report.job == worker.job.name:
            worker.job = None
            self._news.append(report)

    def _lost(self, worker: _Worker) -> None:
        code = self._end(worker)
        if worker.job is None:
            return
        words = f"its process {how_it_ended(code)}; see {log_file(self._setting.folder, worker.job)}"
        self._news.append(JobReport(worker.job.name, "lost", for_terminal(words)))

    def _end(self, worker: _Worker) -> int:
        self._workers.pop(worker.number, None)
        was_killed = wait_or_kill(worker.process)
        for pipe in (worker.process.stdin, worker.process.stdout):
            if pipe is not None:
                pipe.close()
        if worker.job is not None:
            settle(self._setting.folder, worker.job.name, worker.process, was_killed=was_killed)
        return worker.process.returncode


def worker_command(plan_file: Path) -> list[str]:
    """The command of a process that takes names of jobs on its input."""
    return [sys.executable, "-m", "repdrift", "job", str(plan_file), "--from-input", "--launcher", NAME]


def _gpus() -> list[str]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES writes them; none without CUDA."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


register(
    LauncherKind(
        NAME,
        "worker processes on this machine, which share out cores and GPUs",
        LocalProcesses,
        runs_finished=True,
    )
)
