"""The launcher on a Slurm cluster: one job array a stage, submitted at once through submitit, each after the arrays that it reads from.

The arrays depend on each other by `afterany`: a stage begins when every job of the stages that it needs has ended, in whatever way. Then each job
looks by itself whether what it needs is there (`repdrift job` ends as `not_ready` if not), so that a failed job stops those that need it and no others.
`afterok` would stop a whole stage for one failure. `aftercorr` needs arrays of the same jobs in the same order, which a resumed study has not, and leaves
jobs in the queue for ever after a failure.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdrift.core.errors import ConfigError, MissingDependencyError
from repdrift.core.progress import say
from repdrift.core.shown_text import for_terminal
from repdrift.core.words import counted, some_listed
from repdrift.study.jobs.graph import KINDS, JobKind, StudyJob
from repdrift.study.jobs.job_command import job_command
from repdrift.study.jobs.job_state import log_file, now
from repdrift.study.jobs.launcher import (
    JobDemand,
    JobReport,
    LauncherKind,
    LaunchSetting,
    StartedJob,
    register,
    worker_environment,
)
from repdrift.study.jobs.slurm.array_files import (
    SLURM,
    ArrayElementRecord,
    SubmittedArray,
    forget_array,
    read_ending,
    submitted_arrays,
    write_array,
)
from repdrift.study.jobs.slurm.local_queue import LocalQueue
from repdrift.study.jobs.slurm.options import MOST_IN_ARRAY, SlurmOptions, array_parameters, say_defaults
from repdrift.study.jobs.slurm.outcome import report_of_ending, report_of_state
from repdrift.study.jobs.slurm.queue import ElementState, QueueSilenceError, SlurmQueue
from repdrift.study.jobs.slurm.submission import SubmittedElements, submit_array

NAME = SLURM
_BUSY_AGAIN = "now+300"
"""When a job that another process was at is to begin, as sbatch takes it (seconds)."""
_RUNS_NO_MODEL = frozenset({"analyze", "visualize"})


@dataclass
class _OpenElement:
    """An element that has not ended. seen_over: how often in a row Slurm said that it is over, without an ending of its own."""

    job: str
    record: ArrayElementRecord
    array: SubmittedArray
    seen_over: int = 0
    announced: bool = False


class SlurmArrays:
    """Submits whole stages as arrays, watches their elements, and takes up those of an earlier driver."""

    def __init__(self, setting: LaunchSetting, options: SlurmOptions) -> None:
        self._setting, self._options = setting, options
        self._is_local = options.cluster == "local"
        self.slots: int | None = setting.jobs if self._is_local else None
        _require_plain_path(setting.folder)
        self._queue: SlurmQueue | LocalQueue = LocalQueue() if self._is_local else SlurmQueue()
        self._open: dict[str, _OpenElement] = {}
        self._arrays: dict[str, SubmittedArray] = {}
        self._news: list[JobReport | StartedJob] = []
        self._ask_at = 0.0
        self._is_silent = False
        self._busy: set[str] = set()
        self._over: list[SubmittedArray] = []
        self._superseded: set[str] = set()
        self._has_begun = False
        self._cpus = options.cpus or setting.threads or 1
        self._threads = setting.threads or self._cpus
        if not self._is_local:
            say_defaults(options)
            self._take_up()

    def begin(self) -> None:
        """Cancel what an earlier configuration left in the queue, and forget arrays that are over."""
        self._has_begun = True
        if self._superseded:
            self._queue.cancel(self._superseded)
            say(
                f"Slurm: {counted(len(self._superseded), 'queued job')} of an earlier configuration of this study cancelled"
            )
        for array in self._over:
            forget_array(self._setting.folder, array)

    def submit(self, jobs: Sequence[StudyJob]) -> None:
        """Submit jobs, one array a stage; those that an earlier driver has submitted are watched instead."""
        new = [job for job in jobs if job.name not in self._open]
        for kind in KINDS:
            for was_busy in (False, True):
                group = [job for job in new if job.kind == kind and (job.name in self._busy) == was_busy]
                for start in range(0, len(group), MOST_IN_ARRAY):
                    self._submit_array(kind, group[start : start + MOST_IN_ARRAY], was_busy)

    def reports(self, timeout_s: float) -> Sequence[JobReport | StartedJob]:
        """Tell what ended by the endings that elements write, and ask Slurm now and then for those that wrote none."""
        if not self._news:
            self._hear_endings()
        if not self._news and self._open and time.monotonic() >= self._ask_at:
            self._ask()
        if not self._news:
            time.sleep(min(timeout_s, 0.5))
            self._hear_endings()
        news, self._news = self._news, []
        return news

    def cancel(self, jobs: Sequence[str]) -> None:
        """Take jobs out of Slurm's queue, or stop them."""
        held = [self._open[name] for name in jobs if name in self._open]
        try:
            self._queue.cancel([each.record.element for each in held])
        except QueueSilenceError as silence:
            say(f"Slurm does not answer ({silence}): what was to be cancelled may run on")
        for each in held:
            self._close(each)

    def shut_down(self) -> None:
        """Leave what is queued or running to Slurm, and say how to go on; `on_ctrl_c=cancel` cancels it."""
        left = list(self._open) if self._has_begun else []  # a start that is refused touches nothing that was taken up
        if left and (self._is_local or self._options.on_ctrl_c == "cancel"):
            self.cancel(left)
            say(f"Slurm: {counted(len(left), 'job')} cancelled")
            left = []
        if isinstance(self._queue, LocalQueue):
            self._queue.finish()
        if not left:
            return
        arrays = sorted({each.array.array for each in self._open.values()})
        say(
            f"Slurm: {counted(len(left), 'job')} left in the queue: they run on without this process. The same command watches them again; "
            f"`scancel {' '.join(arrays)}` cancels them"
        )

    def _submit_array(self, kind: JobKind, jobs: list[StudyJob], was_busy: bool) -> None:
        setting = self._setting
        demands = [setting.demand.get(job.name, JobDemand()) for job in jobs]
        parameters = array_parameters(
            self._options,
            demands,
            name=_job_name(setting.plan.study, kind),
            cpus=self._cpus,
            runs_models=kind not in _RUNS_NO_MODEL,
            after=self._needed_arrays(jobs),
            at_once=self._options.at_once or (setting.jobs if setting.jobs > 1 else None),
            begin=_BUSY_AGAIN if was_busy else None,
        )
        environment = worker_environment(self._threads, None, {})
        tokens = [uuid.uuid4().hex for _ in jobs]
        commands = [[*job_command(setting.plan_file, job.name), "--launcher", NAME] for job in jobs]
        told = [
            (command, job.name, str(setting.folder.absolute()), token, environment, self._options.requeues)
            for command, job, token in zip(commands, jobs, tokens, strict=True)
        ]
        submitted = submit_array(
            self._options, setting.folder, parameters, told, what=f"the array of {counted(len(jobs), f'{kind} job')}"
        )
        self._record(submitted, jobs, tokens, parameters)

    def _record(
        self, submitted: SubmittedElements, jobs: list[StudyJob], tokens: list[str], parameters: dict[str, Any]
    ) -> None:
        if isinstance(self._queue, LocalQueue):
            self._queue.watch(submitted.jobs)
        array = SubmittedArray(
            array=submitted.array,
            cluster=self._options.cluster,
            plan=self._setting.plan.digest,
            submitted=now(),
            memory_gb=parameters["mem_gb"],
            time_limit_min=parameters["timeout_min"],
            elements=[
                ArrayElementRecord(element=element, job=job.name, token=token)
                for element, job, token in zip(submitted.elements, jobs, tokens, strict=True)
            ],
        )
        self._watch(array, array.elements)
        write_array(self._setting.folder, array)
        if not self._is_local:
            say(f"Slurm: {counted(len(jobs), 'job')} ({jobs[0].kind}) queued as {array.array}")

    def _watch(self, array: SubmittedArray, elements: Iterable[ArrayElementRecord]) -> None:
        self._arrays[array.array] = array
        self._open |= {each.job: _OpenElement(each.job, each, array) for each in elements}

    def _needed_arrays(self, jobs: Sequence[StudyJob]) -> list[str]:
        """The arrays with jobs that have not ended and that one of `jobs` needs. Slurm refuses to wait for what it has forgotten."""
        if self._is_local:
            return []
        needed = {need for job in jobs for need in self._setting.graph.needs[job.name]}
        return sorted({each.array.array for name, each in self._open.items() if name in needed}, key=int)

    def _take_up(self) -> None:
        """Watches what an earlier driver has submitted and Slurm still has. Raises ConfigError if that is of another configuration and runs."""
        arrays = [array for array in submitted_arrays(self._setting.folder) if array.cluster == "slurm"]
        waiting = {
            each.element: (array, each)
            for array in arrays
            for each in array.elements
            if read_ending(self._setting.folder, each.token) is None
        }
        states: dict[str, ElementState] = {}
        if waiting:
            try:
                states = dict(self._queue.look(list(waiting)))
            except QueueSilenceError as silence:
                raise ConfigError(
                    f"Slurm does not answer ({silence}), and {counted(len(waiting), 'job')} of this study were submitted before: nothing is submitted, so that "
                    "none runs twice. Run the same command again when Slurm answers"
                ) from silence
        alive = {element for element, state in states.items() if state.standing in ("queued", "running")}
        mine = {element for element in alive if waiting[element][0].plan == self._setting.plan.digest}
        self._refuse_other(alive - mine, states)
        for array in arrays:
            held = [each for each in array.elements if each.element in mine]
            if held:
                self._watch(array, held)
            else:
                self._over.append(array)
        if mine:
            running = sum(states[element].standing == "running" for element in mine)
            say(
                f"Slurm: {counted(len(mine), 'job')} of an earlier start taken up ({running} running, {len(mine) - running} queued)"
            )

    def _refuse_other(self, others: set[str], states: dict[str, ElementState]) -> None:
        """Raises ConfigError if an element of another configuration runs; those that are queued are cancelled once this one begins."""
        running = sorted(element for element in others if states[element].standing == "running")
        self._superseded = others
        if running:
            raise ConfigError(
                f"{counted(len(running), 'job')} of this study run in Slurm with another configuration ({some_listed(running)}): in one results folder the two "
                f"would write over each other's files. Nothing was changed. Wait until they are done, cancel them (scancel {' '.join(running[:5])}), or choose another results_dir"
            )

    def _hear_endings(self) -> None:
        for each in list(self._open.values()):
            ending = read_ending(self._setting.folder, each.record.token)
            if ending is not None:
                report = report_of_ending(ending)
                self._news.append(report)
                if report.ending == "busy":
                    self._busy.add(each.job)
                self._close(each)

    def _ask(self) -> None:
        """Asks Slurm about every element that has not ended. What is over must be so twice: a requeued job is over for a moment, a shared disk lags."""
        self._ask_at = time.monotonic() + (1.0 if self._is_local else self._options.ask_every)
        try:
            states = self._queue.look([each.record.element for each in self._open.values()])
        except QueueSilenceError as silence:
            if not self._is_silent:
                say(f"Slurm does not answer for now ({silence}): its jobs run on, and it is asked again")
            self._is_silent = True
            return
        if self._is_silent:
            say("Slurm answers again")
            self._is_silent = False
        for each in list(self._open.values()):
            self._judge(each, states[each.record.element])

    def _judge(self, each: _OpenElement, state: ElementState) -> None:
        if state.standing in ("queued", "running"):
            each.seen_over = 0
            if state.standing == "running" and not each.announced:
                each.announced = True
                self._news.append(StartedJob(each.job, state.node))
            return
        each.seen_over += 1
        if each.seen_over < 2 or read_ending(self._setting.folder, each.record.token) is not None:
            return
        self._news.append(report_of_state(each.job, state, each.array, log_file(self._setting.folder, each.job)))
        self._close(each)

    def _close(self, each: _OpenElement) -> None:
        del self._open[each.job]
        array = each.array
        if not any(other.array is array for other in self._open.values()):
            self._arrays.pop(array.array, None)
            forget_array(self._setting.folder, array)


def _job_name(study: str, kind: str) -> str:
    return for_terminal(re.sub(r"[^A-Za-z0-9._-]+", "-", f"repdrift-{study}-{kind}"))


def _require_plain_path(folder: Path) -> None:
    """Raises ConfigError for a path that Slurm would read as a pattern, or that would end a line of the batch script."""
    path = str(folder.absolute())
    if "%" in path or any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise ConfigError(
            f"Slurm takes % in the names of its output files as a pattern, and line breaks as ends; got {path!r}. Choose another results_dir"
        )


def _start(setting: LaunchSetting, options: SlurmOptions) -> SlurmArrays:
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of("submitit", "slurm", "--launcher slurm") from error
    return SlurmArrays(setting, options)


register(
    LauncherKind(
        NAME,
        "a Slurm cluster: one job array a stage, each after those that it needs",
        _start,
        options=SlurmOptions,
        wants_demand=True,
    )
)
