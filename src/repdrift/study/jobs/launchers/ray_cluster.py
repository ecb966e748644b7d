"""The launcher on a Ray cluster: every job is a Ray task that runs `repdrift job` on the node where it lands.

Ray places the tasks by the cores, GPUs and memory that they ask for. All outputs lie on a file system that every node has under the same path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from repdrift.core.errors import MissingDependencyError
from repdrift.core.progress import say
from repdrift.core.shown_text import for_terminal
from repdrift.core.words import counted
from repdrift.study.jobs.ended_process import STOPPED_WITHIN_S, end_process, how_it_ended, settle
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import last_lines, log_file, read_state, this_host
from repdrift.study.jobs.launcher import (
    JobDemand,
    JobReport,
    LauncherKind,
    LauncherOptions,
    LaunchSetting,
    StartedJob,
    register,
    worker_environment,
)
from repdrift.study.jobs.plan_file import jobs_folder_of
from repdrift.study.jobs.ray_connection import connect, missing_resources, nodes, spread
from repdrift.study.jobs.worker import ending_of

NAME = "ray"
_RUN_MODELS = frozenset({"tune", "train", "base", "extract", "control", "evaluate"})
_NO_LIMIT = 10_000


class RayOptions(LauncherOptions):
    """Options of `--launcher ray`."""

    address: str | None = Field(
        None,
        description="HOST:PORT of the cluster's head, or `auto` for the cluster that this machine is a node of. By default RAY_ADDRESS, and without it "
        "a cluster of this machine alone, which ends with the study.",
    )
    gpus: float | None = Field(
        None,
        ge=0,
        description="GPUs of a job that runs models, such as 1 or 0.5. By default 1 where a node has any, else 0.",
    )
    at_once: int | None = Field(
        None, ge=1, description="Jobs at once at most. By default as many as the cluster has room for."
    )
    wait_for_nodes: bool = Field(
        False,
        description="Wait for a node with enough room where there is none now, as an autoscaler brings one. By default that is an error.",
    )


def run_on_node(plan_file: str, job: str, threads: int) -> dict[str, Any]:
    """Run one job in a process of its own on the node of this Ray task, and end it if the task is cancelled.

    Returns `exit_code`, `host`, `seconds`, and the end of what the process printed outside of its log, as plain values.
    """
    command = [
        sys.executable, "-m", "repdrift", "job", plan_file, job, "--launcher", NAME, "--parent", str(os.getpid()),
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603  this program itself
        command, env=worker_environment(threads, None), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    folder, was_killed = jobs_folder_of(Path(plan_file)), False
    try:
        printed, _ = process.communicate()
    finally:
        try:
            was_killed = end_process(process)
        finally:
            settle(folder, job, process, was_killed=was_killed)
    return {
        "exit_code": process.returncode,
        "host": this_host(),
        "seconds": time.monotonic() - began,
        "printed": printed[-2000:],
    }


class RayCluster:
    """Submits each ready job as a task of the cluster, and asks for the end of any of them."""

    def __init__(self, setting: LaunchSetting, options: RayOptions) -> None:
        self._setting, self._options = setting, options
        self._ray = connect(options.address)
        found = nodes(self._ray)
        self.threads = setting.threads or _cores_of_a_job(found)
        has_gpus = any(node.get("GPU", 0) > 0 for node in found)
        self._gpus = options.gpus if options.gpus is not None else float(has_gpus)
        self.slots: int | None = options.at_once or (setting.jobs if setting.jobs > 1 else _NO_LIMIT)
        self._tasks: dict[Any, StudyJob] = {}
        self._announced: set[str] = set()
        self._news: list[JobReport | StartedJob] = []
        self._remote = self._ray.remote(run_on_node)
        say(f"Ray: {counted(len(found), 'node')} with {spread(found)}; {counted(self.threads, 'core')} for each job")

    def begin(self) -> None:
        """Nothing waits for the plan: a task of an earlier driver ended with it."""

    def submit(self, jobs: Sequence[StudyJob]) -> None:
        """Give jobs to the cluster; one that no node has room for fails at once, unless nodes are waited for."""
        assert self._setting.plan_file is not None  # noqa: S101  the kind below asks for it
        plan_file = str(self._setting.plan_file.absolute())
        for job in jobs:
            self._announced.discard(job.name)
            asked = self._resources(job)
            lack = None if self._options.wait_for_nodes else missing_resources(asked, nodes(self._ray))
            if lack is not None:
                self._news.append(JobReport(job.name, "failed", lack))
                continue
            task = self._remote.options(
                num_cpus=asked["CPU"],
                num_gpus=asked.get("GPU", 0),
                memory=int(asked.get("memory", 0)) or None,
                max_retries=0,  # the driver submits what is lost again, for all launchers alike
                name=f"repdrift {job.name}",
            ).remote(plan_file, job.name, self.threads)
            self._tasks[task] = job

    def reports(self, timeout_s: float) -> Sequence[JobReport | StartedJob]:
        """Tell what ended, and what began by the state files; waits for the first task that ends."""
        if self._tasks and not self._news:
            ended, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=timeout_s)
            if ended and len(self._tasks) > 1:
                ended, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
            self._news += [self._ending(task, self._tasks.pop(task)) for task in ended]
            self._announce_started()
        news, self._news = self._news, []
        return news

    def cancel(self, jobs: Sequence[str]) -> None:
        """Cancel the tasks of jobs: those that wait are taken out, and those at work end their process."""
        for task, job in list(self._tasks.items()):
            if job.name in jobs:
                del self._tasks[task]
                self._ray.cancel(task, force=False)

    def shut_down(self) -> None:
        """Cancel what is left, wait until its processes have ended, and leave the cluster."""
        left = list(self._tasks)
        self.cancel([job.name for job in self._tasks.values()])
        if left:
            self._ray.wait(left, num_returns=len(left), timeout=STOPPED_WITHIN_S + 5)
        self._ray.shutdown()

    def _resources(self, job: StudyJob) -> Mapping[str, float]:
        """Returns what a job asks of its node, by Ray's names: CPU, GPU, memory in bytes."""
        demand = self._setting.demand.get(job.name, JobDemand())
        asked: dict[str, float] = {"CPU": max(self.threads, demand.cores or 0)}
        if self._gpus and job.kind in _RUN_MODELS:
            asked["GPU"] = self._gpus
        elif demand.memory_bytes:
            asked["memory"] = demand.memory_bytes
        return asked

    def _announce_started(self) -> None:
        for job in self._tasks.values():
            if job.name in self._announced:
                continue
            state = read_state(self._setting.folder, job)
            if state is not None and state.outcome == "running" and state.plan == self._setting.plan.digest:
                self._announced.add(job.name)
                self._news.append(StartedJob(job.name, state.host))

    def _ending(self, task: object, job: StudyJob) -> JobReport:
        from ray.exceptions import RayError, RayTaskError

        try:
            done = self._ray.get(task)
        except RayTaskError as error:  # the task's own code failed: repdrift is not there, say
            return JobReport(job.name, "failed", for_terminal(f"the task failed on its node: {_last_line(error)}"))
        except RayError as error:
            return JobReport(job.name, "lost", for_terminal(_last_line(error)))
        ending = ending_of(done["exit_code"])
        state = read_state(self._setting.folder, job)
        said = state.words if state is not None and state.plan == self._setting.plan.digest else None
        if ending == "lost" or said is None:
            printed = " ".join(done["printed"].split()) or "; ".join(last_lines(self._setting.folder, job, 2))
            how = f"its process {how_it_ended(done['exit_code'])}"
            said = f"{how}: {printed[-600:]} (log: {log_file(self._setting.folder, job)})"
        return JobReport(job.name, ending, for_terminal(said), done["host"], round(done["seconds"], 1))


def _cores_of_a_job(found: Sequence[Mapping[str, float]]) -> int:
    """The cores of a job where --threads is not given: a GPU's part of its node's cores; 1 without GPUs, where more jobs at once are quicker."""
    parts = [int(node.get("CPU", 1) // node["GPU"]) for node in found if node.get("GPU", 0) >= 1]
    return max(1, min(parts, default=1))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _start(setting: LaunchSetting, options: RayOptions) -> RayCluster:
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of("ray", "ray", "--launcher ray") from error
    return RayCluster(setting, options)


register(
    LauncherKind(
        NAME,
        "a Ray cluster, which places jobs by cores, GPUs and memory",
        _start,
        options=RayOptions,
        wants_demand=True,
    )
)
