"""The jobs of a study and what each one waits for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from repdrift.core.errors import UnknownNameError
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId

JobKind = Literal["tune", "train", "base", "extract", "control", "evaluate", "analyze", "visualize"]
KINDS: tuple[JobKind, ...] = get_args(JobKind)
"""Kinds of jobs, in the order in which one process runs them."""


@dataclass(frozen=True)
class StudyJob:
    """One job of a study: a part of one stage, which reads finished files and writes others.

    kind: `tune` (task, method), `train` (task, method, seed), `base` (both sets of the base model for a task), `extract` (every set of a run),
    `control` (random changes for the runs of a task and method), `evaluate` (outcomes of a run), `analyze` and `visualize` (the study).
    """

    kind: JobKind
    task: str | None = None
    method: str | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """A name that is a path too, such as `train/sst2/lora/seed42`."""
        parts = (self.kind, self.task, self.method, None if self.seed is None else f"seed{self.seed}")
        return "/".join(part for part in parts if part is not None)

    @property
    def run(self) -> RunId:
        """The run that the job is about. Raises ValueError for a job of a whole task, arm or study."""
        if self.task is None or self.method is None or self.seed is None:
            raise ValueError(f"{self.name} is about no single run")
        return RunId(self.task, self.method, self.seed)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class JobGraph:
    """Jobs, each after those that it waits for. needs: by a job's name, the names of the jobs whose outputs it reads."""

    jobs: tuple[StudyJob, ...]
    needs: dict[str, tuple[str, ...]]

    def __iter__(self) -> Iterator[StudyJob]:
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    @cached_property
    def by_name(self) -> dict[str, StudyJob]:
        """Every job by its name."""
        return {job.name: job for job in self.jobs}

    def job(self, name: str) -> StudyJob:
        """Returns the job of this name. Raises UnknownNameError, which suggests the nearest one."""
        if name not in self.by_name:
            raise UnknownNameError.of("job of this study", name, self.by_name)
        return self.by_name[name]

    def ready(self, waiting: Iterable[str], done: set[str]) -> list[StudyJob]:
        """Returns the waiting jobs whose needs are all done, in the order of the graph."""
        among = set(waiting)
        return [job for job in self.jobs if job.name in among and done.issuperset(self.needs[job.name])]

    def stopped_by(self, failed: Iterable[str]) -> set[str]:
        """Returns the names of the jobs that cannot run since they need one that failed, directly or not."""
        lost = set(failed)
        for job in self.jobs:  # needs come before the jobs that have them
            if lost.intersection(self.needs[job.name]):
                lost.add(job.name)
        return lost - set(failed)


def study_graph(config: StudyConfig, runs: Sequence[RunId]) -> JobGraph:
    """The jobs that make the analysis and the figures of these runs, and what each one waits for."""
    needs: dict[StudyJob, list[StudyJob]] = {}
    arms = list(dict.fromkeys((run.task, run.method) for run in runs))
    if config.tune is not None:
        needs |= {StudyJob("tune", task, method): [] for task, method in arms}
    for run in runs:
        tuned = [StudyJob("tune", run.task, run.method)] if config.tune is not None else []
        needs[_of("train", run)] = tuned
    for task in dict.fromkeys(run.task for run in runs):
        needs[StudyJob("base", task)] = []
    for run in runs:
        needs[_of("extract", run)] = [_of("train", run), StudyJob("base", run.task)]
    if config.extraction.random_change != "none":
        for task, method in arms:
            of_arm = [run for run in runs if (run.task, run.method) == (task, method)]
            needs[StudyJob("control", task, method)] = [_of("extract", run) for run in of_arm]
    if config.chosen_outcomes():
        needs |= {_of("evaluate", run): [_of("extract", run)] for run in runs}
    read = [job for job in needs if job.kind in ("base", "extract", "control", "evaluate")]
    needs[StudyJob("analyze")] = read
    needs[StudyJob("visualize")] = [StudyJob("analyze")]
    return JobGraph(tuple(needs), {job.name: tuple(need.name for need in of) for job, of in needs.items()})


def _of(kind: JobKind, run: RunId) -> StudyJob:
    return StudyJob(kind, run.task, run.method, run.seed)
