"""Runs jobs of a plan file in a process of its own: what `repdrift job` does, and what a Ray task or an element of a Slurm array calls."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, RepdriftError, StorageError
from repdrift.core.hidden_secrets import without_secrets
from repdrift.core.records.base import library_versions
from repdrift.core.shown_text import for_terminal
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.finished import FinishedJobs
from repdrift.study.jobs.graph import JobGraph
from repdrift.study.jobs.job_state import log_file
from repdrift.study.jobs.launcher import Ending, JobReport
from repdrift.study.jobs.plan_file import StudyPlan, jobs_folder_of, newer_plan, read_plan
from repdrift.study.jobs.planned_work import run_claimed
from repdrift.study.jobs.report_line import line_of
from repdrift.study.jobs.signals import stopped_by_sigterm
from repdrift.study.jobs.work import StudyWork

_LOOKS_EVERY_S = 0.5

EXIT_CODES: dict[Ending, int] = {"done": 0, "failed": 1, "not_ready": 5, "busy": 6, "disk_full": 7}
"""Exit codes of `repdrift job`; any other code means that the process was lost or has a defect."""
_OTHER_FILES = (
    ": {} ended as done, and its files are not those that the study asks for. Were they changed or deleted meanwhile? If not, this is a fault of "
    "repdrift: please report it"
)


def ending_of(exit_code: int) -> Ending:
    """Returns how a job ended whose process gave this exit code."""
    for ending, code in EXIT_CODES.items():
        if code == exit_code:
            return ending
    return "lost"


class PlannedStudy:
    """A study as its plan file has it, for a process that runs one or several of its jobs.

    Changes to the plan's working folder, where relative paths start. Raises DataError if the plan cannot be read, and ConfigError if it is not that
    of this machine's libraries, or its folder is not here.
    """

    def __init__(self, plan_file: Path) -> None:
        self.file = plan_file.absolute()
        self.plan = read_plan(self.file)
        _require_same_libraries(self.plan)
        self.folder = jobs_folder_of(self.file)
        _enter(Path(self.plan.working_folder))
        for name, value in self.plan.environment.items():
            os.environ.setdefault(name, value)
        self.config = self.plan.study_config()
        self.graph: JobGraph = self.plan.graph(self.config)
        self.work = StudyWork(StudyInputs(self.config, self.plan.given), self.plan.tasks)

    def run(self, name: str, launcher: str) -> JobReport:
        """Run the job of this name, if what it needs is done; everything that is printed meanwhile goes into its log.

        Raises UnknownNameError for a name that the plan does not have.
        """
        job = self.graph.job(name)
        if (newer := newer_plan(self.folder, self.plan.digest)) is not None:
            return JobReport(name, "failed", newer)
        with _output_into(log_file(self.folder, job)):
            finished = FinishedJobs(self.work.inputs, self.plan)
            missing = finished.missing_for(self.graph, job)
            if missing:
                ended = [each for each in missing if finished.ended_as_done(self.graph.job(each))]
                words = f"{', '.join(missing[:4])} not done"
                return JobReport(name, "not_ready", words + (_OTHER_FILES.format(ended[0]) if ended else ""))
            try:
                return run_claimed(self.work, job, self.folder, self.plan.digest, launcher, keeps_log=False)
            except Exception:
                sys.stderr.write(for_terminal(without_secrets(traceback.format_exc())))  # into the log
                raise


def run_planned_job(plan_file: Path, name: str, launcher: str = "by hand") -> JobReport:
    """Run one job of a plan file in this process. Raises what `PlannedStudy` raises."""
    return PlannedStudy(plan_file).run(name, launcher)


def _require_same_libraries(plan: StudyPlan) -> None:
    here = library_versions()
    differ = [
        f"{name} {here.get(name, 'absent')} instead of {plan.versions.get(name, 'absent')}"
        for name in sorted({*here, *plan.versions})
        if here.get(name) != plan.versions.get(name)
    ]
    if differ:
        raise ConfigError(
            f"this machine has other libraries than the one that started the study: {', '.join(differ)}. Numbers could differ between jobs; install the same "
            "versions here, or start the study again from here"
        )


def _enter(folder: Path) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise StorageError(
            f"the folder in which the study was started, {folder}, is not on this machine ({error.strerror}): put the study on a file system that every "
            "machine has under the same path"
        ) from error


@contextmanager
def _output_into(log: Path) -> Generator[None]:
    """Everything that this process and its libraries print goes to the end of `log` inside the block."""
    with storage_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("a", encoding="utf-8", errors="backslashreplace")
    kept: list[tuple[int, int]] = []
    try:
        for shown in (sys.stdout, sys.stderr):
            shown.flush()
        for number in (1, 2):
            kept.append((number, os.dup(number)))
            os.dup2(stream.fileno(), number)
        yield
    finally:
        for shown in (sys.stdout, sys.stderr):
            shown.flush()
        for number, before in kept:
            os.dup2(before, number)
            os.close(before)
        stream.close()


def serve(plan_file: Path, launcher: str) -> None:
    """Run the jobs whose names come on standard input, one a line, until it ends; write one line on standard output when a job has ended.

    Nothing else reaches standard output: what libraries print there goes to standard error. SIGTERM stops the job at work as Ctrl-C does.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as reports, stopped_by_sigterm():
        os.dup2(2, 1)
        study: PlannedStudy | None = None
        for line in sys.stdin:
            name = line.strip()
            try:
                study = study or PlannedStudy(plan_file)
                report = study.run(name, launcher)
            except RepdriftError as error:  # of the plan: this process can run none of its jobs
                report = JobReport(name, "failed", str(error))
            except Exception as error:  # a defect of ours: the driver is told before this process ends with it
                reports.write(
                    line_of(JobReport(name, "failed", f"a defect of repdrift ({type(error).__name__}: {error})")) + "\n"
                )
                raise
            reports.write(line_of(report) + "\n")
            reports.flush()


def end_with(parent: int) -> None:
    """Stop this process by SIGTERM once the process that started it is gone, as when a node's daemon was killed.

    parent: its number. A thread looks twice a second who the parent of this process is now.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOKS_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
