"""The protocol of launchers: who runs the jobs of a study, and where. The driver decides what is run next.

A launcher is one file in `launchers/` that registers a `LauncherKind`. It starts jobs, tells how they ended, and cancels them. Which job is ready, what a
failure stops, what is tried again and what is said is the driver's, for all launchers alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from repdrift.core.registry import Registry
from repdrift.study.jobs.graph import JobGraph, StudyJob

if TYPE_CHECKING:
    from repdrift.study.jobs.plan_file import StudyPlan
    from repdrift.study.jobs.work import StudyWork

Ending = Literal["done", "failed", "busy", "not_ready", "lost", "disk_full"]
"""How a job ended. busy: another process is at it. not_ready: what it needs is not there. lost: its process or machine went away.
disk_full: nothing more can be written."""


@dataclass(frozen=True)
class JobDemand:
    """The demand of one job; None where it is not known. seconds: at least. disk_bytes: of its outputs."""

    cores: int | None = None
    gpus: float | None = None
    memory_bytes: int | None = None
    seconds: float | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True)
class JobReport:
    """Tells how a job ended. words: what was done, or the reason. where: the machine, None if it is this one."""

    job: str
    ending: Ending
    words: str
    where: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class StartedJob:
    """Tells that a job began, where the launcher knows that. where: the machine, or a worker's number."""

    job: str
    where: str | None = None


@dataclass(frozen=True)
class LaunchSetting:
    """Everything that a launcher is given. folder: the study's `jobs/` folder.

    plan_file: holds the plan without secrets if the launcher says that it needs none. demand: what each job takes, by name; empty unless the launcher asks for it. work: runs jobs in this
    process. threads: CPU threads of each job; None: the launcher shares out what there is.
    """

    plan: StudyPlan
    plan_file: Path
    graph: JobGraph
    folder: Path
    work: StudyWork
    jobs: int = 1
    threads: int | None = None
    demand: Mapping[str, JobDemand] = field(default_factory=dict)


class Launcher(Protocol):
    """Runs jobs. The driver calls it from one thread.

    slots: how many jobs it takes at once. None: it takes every job of the graph at once, in the graph's order, and holds each back until what it
    needs (`graph.needs`) has ended; then a job whose needs failed ends as `not_ready`, which `repdrift job` finds by itself.
    """

    slots: int | None

    def begin(self) -> None:
        """Do what must wait until the study's plan is the current one, such as cancelling queued jobs of an earlier plan. Called once, before all else."""
        ...

    def submit(self, jobs: Sequence[StudyJob]) -> None:
        """Take jobs, to be run as soon as possible. Those whose name was submitted before are run again."""
        ...

    def reports(self, timeout_s: float) -> Sequence[JobReport | StartedJob]:
        """Return what happened since the last call, each ending once; waits up to `timeout_s` for something to happen.

        A job whose process is gone without an outcome is `lost`, and the driver submits it again.
        """
        ...

    def cancel(self, jobs: Sequence[str]) -> None:
        """Stop jobs, or take them out of the queue; names that are not known or have ended are passed over. No report need follow."""
        ...

    def shut_down(self) -> None:
        """Stop whatever is left and give everything back. Called once, in any case, after Ctrl-C too."""
        ...


class LauncherOptions(BaseModel):
    """Options of a launcher, each with a description; `--launcher-option NAME=VALUE` gives them. A key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class LauncherKind:
    """A way to launch jobs. words: what it is, for people. start: makes a launcher, and raises a RepdriftError if it cannot work here, or if work of another
    configuration is in its way. The plan is not written yet, and `start` writes, cancels and submits nothing: a refused start leaves everything as it was.

    needs_plan_file: its jobs run in other processes. wants_demand: `LaunchSetting.demand` is filled, which takes seconds.
    runs_finished: jobs that are finished are run too, which looks at their files and is quick in a process that is there already; else the driver
    leaves out what its outputs show to be finished.
    """

    name: str
    words: str
    start: Callable[[LaunchSetting, Any], Launcher]
    options: type[LauncherOptions] = LauncherOptions
    needs_plan_file: bool = True
    wants_demand: bool = False
    runs_finished: bool = False


launchers: Registry[LauncherKind] = Registry("launcher", "repdrift.study.jobs.launchers")


def register(kind: LauncherKind) -> LauncherKind:
    """Register a launcher under its name, and return it."""
    return launchers.add(kind.name, kind)


def worker_environment(threads: int, gpu: str | None, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a worker process with so many CPU threads. gpu: what CUDA_VISIBLE_DEVICES is to say; None leaves it as it is.

    Two jobs that each take all cores are many times slower than one after the other, so every library's threads are set.
    """
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
    found = {**(os.environ if base is None else base), **dict.fromkeys(names, str(threads))}
    found["TOKENIZERS_PARALLELISM"] = "false"
    if gpu is not None:
        found["CUDA_VISIBLE_DEVICES"] = gpu
    return found


def usable_cores() -> int:
    """The CPU cores that this process may use; fewer than the machine has, inside a container or a batch job."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS and Windows
        return max(1, os.cpu_count() or 1)
