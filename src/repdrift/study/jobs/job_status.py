"""The progress of a study's jobs: done, running, failed, stale or waiting, with what is known of each, and the time that is left.

Only files are read. Whether a process lives is told by the lock that it holds, or by its signs of life, whose times are the file server's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from repdrift.core.errors import DataError, StorageError
from repdrift.core.reading import stands_there
from repdrift.study.config import StudyConfig
from repdrift.study.configuration_differences import field_differences
from repdrift.study.configuration_text import configuration_content
from repdrift.study.jobs.analysis_stamp import AnalysisStamps
from repdrift.study.jobs.drivers import DriverRecord, living_drivers
from repdrift.study.jobs.graph import JobGraph, StudyJob, study_graph
from repdrift.study.jobs.job_state import JobState, last_lines, read_state
from repdrift.study.jobs.living_jobs import all_states, lives
from repdrift.study.jobs.output_look import OutputLook
from repdrift.study.jobs.plan_file import PLAN_FILE, StudyPlan, jobs_folder, plan_digest, read_plan
from repdrift.study.jobs.slurm.array_files import SLURM, queued_elements
from repdrift.study.runs import planned_runs
from repdrift.study.status import RunProgress

Standing = Literal["done", "running", "failed", "lost", "stale", "waiting", "ready"]
_TAIL = 4


@dataclass(frozen=True)
class JobView:
    """One job as it stands. why: of a job that failed, is stale or waits. log: the last lines of a job that failed.

    stale: its outputs are of other settings or inputs. ready: nothing is missing, and nobody is at it. where, since: of the process at it; since is by
    the clock of that machine.
    """

    job: StudyJob
    standing: Standing
    why: str | None = None
    where: str | None = None
    since: str | None = None
    progress: str | None = None
    attempt: int | None = None
    seconds: float | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyStanding:
    """All jobs of a study. left_s: seconds that are left, from how long jobs of its kind took; None if nothing of it is known.

    untimed: kinds of jobs that are left, of which none was timed yet. notes: what changes how the rest is read.
    """

    views: tuple[JobView, ...]
    drivers: tuple[DriverRecord, ...]
    left_s: float | None
    untimed: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    def of(self, *standings: Standing) -> list[JobView]:
        """The jobs that stand so."""
        return [view for view in self.views if view.standing in standings]


def study_standing(config: StudyConfig, config_path: str | None, progress: list[RunProgress]) -> StudyStanding:
    """Looks how every job of a study stands. progress: of its runs, as `study_status` gives it."""
    folder = jobs_folder(config)
    plan = _latest_plan(folder)
    tasks = config.task_names
    if plan is not None and set(plan.tasks) <= set(tasks) and plan_digest(config, plan.tasks) == plan.digest:
        tasks = plan.tasks  # it was started for a part of the tasks
    digest = plan_digest(config, tasks)
    graph = study_graph(config, planned_runs(config, tasks=tasks))
    look = OutputLook(config, progress, AnalysisStamps(config, tasks, config_path or config.name))
    states = {job.name: read_state(folder, job) for job in graph}
    views: dict[str, JobView] = {}
    for job in graph:
        views[job.name] = _view(job, look, states[job.name], folder, digest, graph, views)
    for name, element in queued_elements(folder, digest).items():
        if (view := views.get(name)) is None:
            continue
        state = states[name]
        if view.standing == "running" and state is not None and state.launcher == SLURM:
            views[name] = replace(view, where=f"{view.where}, Slurm's {element}")
        elif view.standing in ("waiting", "ready", "lost"):
            views[name] = replace(
                view, standing="waiting", why=f"for Slurm, which has it as {element}", where=None, since=None
            )
    drivers = tuple(living_drivers(folder))
    left_s, untimed = _time_left(list(views.values()), _timed(folder, progress), drivers)
    notes = [_other_configuration(config, plan)] if plan is not None and plan.digest != digest else []
    return StudyStanding(tuple(views.values()), drivers, left_s, untimed, tuple(note for note in notes if note))


def _view(  # noqa: PLR0911  one return for each standing
    job: StudyJob,
    look: OutputLook,
    state: JobState | None,
    folder: Path,
    digest: str,
    graph: JobGraph,
    before: dict[str, JobView],
) -> JobView:
    ours = state if state is not None and state.plan == digest else None
    if state is not None and state.outcome == "running" and lives(state, folder):
        where = f"process {state.pid} on {state.host}"
        return JobView(job, "running", None, where, state.started, state.progress, state.attempt)
    looked = look.of(job)
    open_needs = [name for name in graph.needs[job.name] if before[name].standing != "done"]
    stale_needs = [name for name in open_needs if before[name].standing == "stale"]
    if looked.look == "done" and not stale_needs:
        return JobView(job, "done", seconds=None if ours is None else ours.seconds)
    if ours is not None and ours.outcome in ("failed", "disk_full", "lost", "stopped", "running"):
        return _ended_badly(job, ours, folder)
    if looked.look != "missing":
        return JobView(job, "stale", looked.why or f"made from {stale_needs[0]}, which is stale")
    if job.kind == "control" and ours is not None and ours.outcome == "done":
        return JobView(job, "done", seconds=ours.seconds)  # it said why there is none
    if open_needs:
        more = f" and {len(open_needs) - 2} more" if len(open_needs) > 2 else ""
        return JobView(job, "waiting", f"for {', '.join(open_needs[:2])}{more}")
    return JobView(job, "ready")


def _ended_badly(job: StudyJob, state: JobState, folder: Path) -> JobView:
    standing: Standing = "failed" if state.outcome in ("failed", "disk_full") else "lost"
    gone = f"its process {state.pid} on {state.host} is gone without a word" if state.outcome == "running" else None
    log = tuple(last_lines(folder, job, _TAIL))
    return JobView(
        job, standing, gone or state.words, state.host, state.started, None, state.attempt, state.seconds, log
    )


def _latest_plan(folder: Path) -> StudyPlan | None:
    path = folder / PLAN_FILE
    try:
        return read_plan(path) if stands_there(path) else None
    except (DataError, StorageError):
        return None


def _other_configuration(config: StudyConfig, plan: StudyPlan) -> str | None:
    try:
        then = plan.study_config()
    except (DataError, StorageError, ValueError):
        return None
    found = field_differences(configuration_content(then), configuration_content(config))
    differ = (
        f": {', '.join(map(str, found[:3]))}{f' and {len(found) - 3} more' if len(found) > 3 else ''}" if found else ""
    )
    given = f" It was given {', '.join(f'--set {text}' for text in plan.overrides)}." if plan.overrides else ""
    return f"the study was last started with another configuration, at {plan.created}, than the one that is shown here{differ}.{given}"


def _timed(folder: Path, progress: list[RunProgress]) -> dict[str, float]:
    """Seconds that jobs took, by name: every job of which a state is left, of other seeds and configurations too, and the trainings of older versions."""
    found: dict[str, float] = {}
    for p in progress:
        if p.record is not None:
            found[StudyJob("train", p.run.task, p.run.method, p.run.seed).name] = p.record.wall_time_s
    for state in all_states(folder):
        if state.outcome == "done" and state.seconds is not None:
            found[state.job] = state.seconds
    return found


def _time_left(
    views: list[JobView], timed: dict[str, float], drivers: tuple[DriverRecord, ...]
) -> tuple[float | None, tuple[str, ...]]:
    """Seconds until all is done, and the kinds of which none was timed. The best like jobs are those of the same task and method."""
    alike: dict[str, list[float]] = defaultdict(list)
    for name, seconds in timed.items():
        kind, *_ = name.split("/")
        for group in {kind, _arm(name)}:
            alike[group].append(seconds)
    left, untimed = 0.0, list[str]()
    open_jobs = [view.job for view in views if view.standing != "done"]
    for job in open_jobs:
        known = alike.get(_arm(job.name)) or alike.get(job.kind)
        if known:
            left += fmean(known)
        elif job.kind not in untimed:
            untimed.append(job.kind)
    at_once = sum(driver.slots or 1 for driver in drivers) or 1
    if open_jobs and left == 0.0:
        return None, tuple(untimed)
    return left / min(at_once, max(1, len(open_jobs))), tuple(untimed)


def _arm(name: str) -> str:
    """The name of a job without its seed."""
    return "/".join(name.split("/")[:3])
