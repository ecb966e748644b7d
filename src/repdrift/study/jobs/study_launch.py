"""Starts a study by a launcher: the plan is frozen, the jobs that are finished are left out, and the rest is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from repdrift.core.errors import ConfigError
from repdrift.core.progress import say
from repdrift.core.validation import validation_faults
from repdrift.core.words import counted
from repdrift.study.dry_run import dry_run
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.claims import starting_guard
from repdrift.study.jobs.demand import job_demands
from repdrift.study.jobs.driver import StudyRun
from repdrift.study.jobs.drivers import driving, require_no_other_jobs
from repdrift.study.jobs.finished import FinishedJobs
from repdrift.study.jobs.graph import JobGraph
from repdrift.study.jobs.launcher import JobDemand, LauncherKind, LauncherOptions, LaunchSetting, launchers
from repdrift.study.jobs.plan_file import jobs_folder, make_plan, plan_path, write_plan, written_form
from repdrift.study.jobs.slurm.array_files import SLURM, arrays_of_other_plans
from repdrift.study.jobs.watched_file import WatchedStudyFile
from repdrift.study.jobs.work import StudyWork

IN_PROCESS = "in-process"
LOCAL = "local"


@dataclass(frozen=True)
class LaunchChoice:
    """Says how the jobs of a study are run. launcher: its name; None: in this process, or in local processes if `jobs` is above 1.

    jobs: how many at once. threads: CPU threads of each; None: what there is, shared out. options: of the launcher, as texts.
    """

    launcher: str | None = None
    jobs: int = 1
    threads: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The launcher's name."""
        return self.launcher or (LOCAL if self.jobs > 1 else IN_PROCESS)

    def kind(self) -> LauncherKind:
        """The launcher. Raises UnknownNameError, or ConfigError where --jobs does not fit it."""
        kind = launchers.get(self.name)
        if self.name == IN_PROCESS and self.jobs > 1:
            raise ConfigError(
                f"--launcher {IN_PROCESS} runs one job at a time; leave --jobs out, or take --launcher {LOCAL}"
            )
        return kind

    def parsed_options(self) -> LauncherOptions:
        """The launcher's own options. Raises ConfigError that lists every fault."""
        model = self.kind().options
        try:
            return model.model_validate(dict(self.options))
        except ValidationError as error:
            raise ConfigError(
                f"--launcher-option of {self.name}: {'; '.join(validation_faults(error, model))}"
            ) from error


def run_jobs(inputs: StudyInputs, tasks: Sequence[str] | None, choice: LaunchChoice) -> StudyWork:
    """Run every job of a study that is not finished; everything that can be known beforehand was checked.

    Returns the work, which holds what this process has loaded. Raises UnfinishedStudyError if a job failed, and whatever the launcher raises that
    cannot work here.
    """
    kind, options = choice.kind(), choice.parsed_options()
    config = inputs.config
    plan = make_plan(config, inputs.config_path, tasks)
    graph = plan.graph(config)
    work = StudyWork(inputs, plan.tasks)
    folder = jobs_folder(config)
    slots = 1 if kind.name == IN_PROCESS else choice.jobs
    with driving(folder, plan, kind.name, slots):
        written = written_form(plan, exact=kind.needs_plan_file)
        setting = LaunchSetting(
            plan=plan,
            plan_file=plan_path(written, folder),
            graph=graph,
            folder=folder,
            work=work,
            jobs=choice.jobs,
            threads=choice.threads,
            demand=_demand(inputs, graph, choice) if kind.wants_demand else {},
        )
        finished = set() if kind.runs_finished else FinishedJobs(inputs, plan).all_of(graph)
        file = WatchedStudyFile(inputs.config_path)
        launcher = kind.start(setting, options)
        StudyRun(setting, launcher, finished, file.look).complete(before=lambda: _make_current(setting, kind))
    return work


def _make_current(setting: LaunchSetting, kind: LauncherKind) -> None:
    """Makes the plan the current one of its study. Raises ConfigError if a job of another one began while the launcher was started."""
    with starting_guard(setting.folder):
        require_no_other_jobs(setting.folder, setting.plan)
        write_plan(setting.plan, setting.folder, exact=kind.needs_plan_file)
    queued = arrays_of_other_plans(setting.folder, setting.plan.digest)
    if queued and kind.name != SLURM:
        say(
            f"note: {counted(sum(queued.values()), 'job')} of an earlier configuration of this study may still be queued in Slurm: each will end without doing "
            f"anything, since this configuration is the current one. `scancel {' '.join(sorted(queued))}` takes them out of the queue"
        )


def _demand(inputs: StudyInputs, graph: JobGraph, choice: LaunchChoice) -> dict[str, JobDemand]:
    runs = [job.run for job in graph if job.kind == "train"]
    return job_demands(inputs, graph, dry_run(inputs, runs), threads=choice.threads)
