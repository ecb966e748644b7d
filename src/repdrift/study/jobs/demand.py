"""The demand of each job: seconds at least, memory, disk, cores and GPUs, from the same accounts as `repdrift run --dry-run`. Nothing is run."""

from __future__ import annotations

from collections import Counter

import torch

from repdrift.core.words import counted
from repdrift.study.disk_space import set_bytes
from repdrift.study.dry_run import DryRun, Estimate, evaluated_tokens, size_in_words, time_in_words
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.graph import KINDS, JobGraph, StudyJob
from repdrift.study.jobs.launcher import JobDemand
from repdrift.study.readiness import least_checkpoints


def job_demands(
    inputs: StudyInputs, graph: JobGraph, found: DryRun, *, threads: int | None = None
) -> dict[str, JobDemand]:
    """Returns the demand of every job by its name. found: the estimates of the study. threads: CPU threads of each job; None: not known."""
    demands = _Demands(inputs, graph, found)
    gpus = 1.0 if torch.cuda.is_available() else 0.0
    made: dict[str, JobDemand] = {}
    for job in graph:
        each = demands.of(job)
        on_gpu = 0.0 if job.kind in ("analyze", "visualize") else gpus
        made[job.name] = JobDemand(threads, on_gpu, each.memory_bytes, each.seconds, each.disk_bytes)
    return made


class _Demands:
    def __init__(self, inputs: StudyInputs, graph: JobGraph, found: DryRun) -> None:
        self._inputs, self._graph, self._found = inputs, graph, found
        skeleton = inputs.skeleton
        self._weights = None if skeleton is None else sum(p.numel() for p in skeleton.parameters())

    def of(self, job: StudyJob) -> JobDemand:  # noqa: PLR0911  one return for each kind
        match job.kind:
            case "tune":
                return self._training(job, self._found.tuning or [])
            case "train":
                return self._training(job, self._found.training)
            case "base":
                return self._sets(job, 2)
            case "extract":
                return self._sets(job, 1 + self._checkpoints(job))
            case "control":
                every = self._inputs.config.extraction.random_change == "all"
                return self._sets(job, len(self._graph.needs[job.name]) if every else 1)
            case "evaluate":
                tokens = evaluated_tokens(self._inputs, [self._inputs.job_before_tuning(job.run)])
                return JobDemand(memory_bytes=self._memory, seconds=self._pass_s(tokens))
            case _:
                return JobDemand(memory_bytes=self._found.analysis_memory if job.kind == "analyze" else None)

    def _training(self, job: StudyJob, estimates: list[Estimate]) -> JobDemand:
        each = next((e for e in estimates if e.words == f"{job.task}, {job.method}"), None)
        if each is None:  # all of the kind are there
            return JobDemand()
        runs = each.runs if job.kind == "tune" else 1
        memory = None if each.memory is None else max(each.memory.peak, each.loaded or 0)
        return JobDemand(
            memory_bytes=memory, seconds=None if each.least_s is None else runs * each.least_s, disk_bytes=each.saved
        )

    def _checkpoints(self, job: StudyJob) -> int:
        wanted = self._inputs.config.analysis.equal_skill
        return least_checkpoints(self._inputs.job_before_tuning(job.run)) if wanted else 0

    def _sets(self, job: StudyJob, count: int) -> JobDemand:
        task = job.task or ""
        tokens = sum(len(ids) for ids in self._inputs.sample_set(task).input_ids)
        return JobDemand(
            memory_bytes=self._memory,
            seconds=self._pass_s(count * tokens),
            disk_bytes=count * set_bytes(self._inputs, task),
        )

    @property
    def _memory(self) -> int | None:
        return None if self._weights is None else 4 * self._weights

    def _pass_s(self, tokens: float) -> float | None:
        return None if self._weights is None else 2 * self._weights * tokens / self._found.rate


def demand_lines(graph: JobGraph, demand: dict[str, JobDemand]) -> list[str]:
    """Lines on the jobs of a study, one for those of an arm that differ in the seed alone."""
    kinds = Counter(job.kind for job in graph)
    lines = [f"jobs: {len(graph)} ({', '.join(f'{kinds[kind]} {kind}' for kind in KINDS if kinds[kind])})"]
    groups: dict[StudyJob, list[StudyJob]] = {}
    for job in graph:
        groups.setdefault(StudyJob(job.kind, job.task, job.method), []).append(job)
    for group, jobs in groups.items():
        each = demand[jobs[0].name]
        took = "time not known" if each.seconds is None else f"at least {time_in_words(each.seconds)}"
        memory = "memory not known" if each.memory_bytes is None else f"memory about {size_in_words(each.memory_bytes)}"
        disk = "" if each.disk_bytes is None else f", {size_in_words(each.disk_bytes)} on the disk"
        many = f" ({counted(len(jobs), 'job')}, each)" if len(jobs) > 1 else ""
        lines.append(f"  {group.name}{many}: {took}, {memory}{disk}")
    return lines
