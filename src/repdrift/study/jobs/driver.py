"""Runs the jobs of a study by any launcher: what is ready, what a failure stops, what is tried again, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from repdrift.core.errors import UnfinishedStudyError
from repdrift.core.progress import say, say_stage, say_step
from repdrift.core.words import counted
from repdrift.study.jobs.graph import JobGraph, JobKind, StudyJob
from repdrift.study.jobs.job_state import last_lines, log_file
from repdrift.study.jobs.launcher import JobReport, Launcher, LaunchSetting, StartedJob
from repdrift.study.jobs.signals import stopped_by_sigterm

MOST_ATTEMPTS = 3
"""A job whose process or machine was lost is run so often at most."""
_REPORTS_WITHIN_S = 2.0
_ASK_AGAIN_S = 2.0
"""Between two tries of a job that another process is at."""

_STAGES: dict[JobKind, tuple[int, str, str]] = {
    "train": (1, "training", "models"),
    "base": (2, "extraction", "base models"),
    "extract": (2, "extraction", "models"),
    "control": (2, "extraction", "random changes"),
    "evaluate": (3, "outcomes", "models"),
    "analyze": (4, "analysis", "analyses"),
    "visualize": (5, "figures", "pages"),
}
_N_STAGES = 5


@dataclass
class StudyRun:
    """The jobs of one study on their way. finished: names of jobs that need not be run. on_news: called when a job has ended."""

    setting: LaunchSetting
    launcher: Launcher
    finished: set[str] = field(default_factory=set)
    on_news: Callable[[], object] = lambda: None
    done: dict[str, JobReport] = field(default_factory=dict)
    failed: dict[str, JobReport] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _attempts: dict[str, int] = field(default_factory=dict)
    _later: dict[str, float] = field(default_factory=dict)
    _said_busy: set[str] = field(default_factory=set)
    _stage: int = 0
    _disk_full: bool = False

    @property
    def graph(self) -> JobGraph:
        """The study's jobs."""
        return self.setting.graph

    def complete(self, before: Callable[[], object] = lambda: None) -> None:
        """Run every job that can be run. Raises UnfinishedStudyError that names the jobs that failed and what they stopped.

        before: called first, when the launcher stands; what it raises ends the study before any job is submitted.
        Ctrl-C and SIGTERM stop what runs, and leave a state from which the same command goes on.
        """
        with stopped_by_sigterm():
            try:
                before()
                self.launcher.begin()
                while self._go_on():
                    for report in self.launcher.reports(_REPORTS_WITHIN_S):
                        self._take(report)
            except KeyboardInterrupt:
                there = len(self.done) + len(self.finished)
                say(
                    f"stopped: {there} of {counted(len(self.graph), 'job')} are done and kept; the same command goes on from there"
                )
                raise
            finally:
                self.launcher.shut_down()
        self._raise_failed()

    def _go_on(self) -> bool:
        """Submits what is ready; returns whether anything is left to wait for."""
        slots = self.launcher.slots
        waiting = [] if self._disk_full else self._waiting()
        if slots is None and not self._attempts:
            self._submit([self.graph.job(name) for name in waiting])  # it holds each back itself
            return bool(waiting)
        now = time.monotonic()
        ready = [
            job
            for job in self.graph.ready(waiting, {*self.finished, *self.done})
            if self._later.get(job.name, 0.0) <= now
        ]
        # What another process is at comes last, so that two drivers share a study's work.
        ready.sort(key=lambda job: job.name in self._later)
        free = len(ready) if slots is None else slots - len(self._running)
        if free > 0 and ready:
            self._submit(ready[:free])
        elif not self._running and any(name in self._later for name in waiting):
            time.sleep(_ASK_AGAIN_S / 4)
            return True
        return bool(self._running)

    def _waiting(self) -> list[str]:
        ended = {*self.finished, *self.done, *self.failed, *self._running, *self.graph.stopped_by(self.failed)}
        return [job.name for job in self.graph if job.name not in ended]

    def _submit(self, jobs: Sequence[StudyJob]) -> None:
        for job in jobs:
            self._running.add(job.name)
            self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
            self._say_stage(job)
        self.launcher.submit(jobs)

    def _say_stage(self, job: StudyJob) -> None:
        """Says that a stage begins, where jobs are run one after another; else stages overlap."""
        number, name, _ = _STAGES.get(job.kind, (0, "", ""))
        if self.launcher.slots == 1 and number > self._stage:
            self._stage = number
            say_stage(number, _N_STAGES, name)

    def _take(self, report: JobReport | StartedJob) -> None:
        if isinstance(report, StartedJob) or report.job not in self._running:
            return
        self.on_news()
        self._running.discard(report.job)
        at = "" if report.where is None else f" on {report.where}"
        if report.ending == "done":
            self.done[report.job] = report
            self._later.pop(report.job, None)
            self._say_done(report)
        elif report.ending == "busy":
            self._later[report.job] = time.monotonic() + _ASK_AGAIN_S
            self._attempts[report.job] -= 1
            if report.job not in self._said_busy:
                self._said_busy.add(report.job)
                say(f"{report.job}: {report.words}; other jobs first")
        elif report.ending == "not_ready" and report.job in self.graph.stopped_by(self.failed):
            return  # its need failed, and it is named with that
        elif report.ending in ("lost", "not_ready") and self._attempts[report.job] < MOST_ATTEMPTS:
            self._later[report.job] = time.monotonic() + _ASK_AGAIN_S
            attempt = f"{self._attempts[report.job] + 1} of {MOST_ATTEMPTS}"
            say(f"{report.job}: {report.ending.replace('_', ' ')}{at}: {report.words}; it is run again ({attempt})")
        else:
            self._fail(report, at)

    def _fail(self, report: JobReport, at: str) -> None:
        self.failed[report.job] = report
        self._disk_full |= report.ending == "disk_full"
        stopped = self.graph.stopped_by([report.job])
        if held := sorted(stopped & self._running):
            self.launcher.cancel(held)
            self._running -= set(held)
        after = f" ({counted(len(stopped), 'job')} cannot run without it)" if stopped else ""
        say(f"{report.job}: failed{at}: {report.words}{after}")
        if self._disk_full:
            say("the disk is full: no further job is begun")

    def _say_done(self, report: JobReport) -> None:
        job = self.graph.job(report.job)
        _, _, what = _STAGES.get(job.kind, (0, "", "searches"))
        at = "" if report.where is None else f" ({report.where})"
        words = str(job.run) if job.seed is not None else job.name
        if self.launcher.slots == 1:
            of_kind = [each.name for each in self.graph if each.kind == job.kind and each.name not in self.finished]
            say_step(sum(name in self.done for name in of_kind), len(of_kind), what, f"{words}: {report.words}{at}")
        else:
            total = len(self.graph) - len(self.finished)
            say_step(len(self.done), total, "jobs", f"{job.name}: {report.words}{at}")

    def _raise_failed(self) -> None:
        if not self.failed:
            return
        direct = list(self.failed.values())
        stopped = sorted(self.graph.stopped_by(self.failed))
        left = [job.name for job in self.graph if job.name not in {*self.finished, *self.done, *self.failed, *stopped}]
        lines = [
            f"{counted(len(direct), 'job')} of study {self.setting.plan.study} failed, and {len(self.done) + len(self.finished)} of {len(self.graph)} are done:"
        ]
        for report in direct:
            lines.append(f"  - {report.job}: {report.words}")
            said = [line for line in last_lines(self.setting.folder, report.job, 3) if line not in report.words]
            lines += [f"      {line}" for line in said]
            lines.append(f"      (the whole log: {log_file(self.setting.folder, report.job)})")
        if stopped:
            lines.append(
                f"Not run without what failed: {', '.join(stopped[:6])}{f' and {len(stopped) - 6} more' if len(stopped) > 6 else ''}."
            )
        if left:
            lines.append(f"Not begun: {', '.join(left[:6])}{f' and {len(left) - 6} more' if len(left) > 6 else ''}.")
        lines.append("What is done is kept. Mend the cause, and run the same command again: it goes on from there.")
        raise UnfinishedStudyError("\n".join(lines))
