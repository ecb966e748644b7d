"""The tuning stage of a study: tries learning rates for every arm and task, equally many for each, and records the choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from repdrift.core.errors import ConfigError, NonFiniteError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.process_group import process_count
from repdrift.core.progress import say
from repdrift.core.records.tuning import TuningRecord, TuningTrial, chosen_trial, edge_of
from repdrift.core.tuning_words import choice_in_words, trial_in_words
from repdrift.study.inputs import StudyInputs
from repdrift.study.rate_search import RateSearch
from repdrift.study.readiness import ready_jobs
from repdrift.study.runs import RunId
from repdrift.study.tune_section import TuneSection
from repdrift.study.tuned_rates import choices_of, tuning_folder
from repdrift.training import TrainingJob, TrialSeries


def tune_arms(inputs: StudyInputs, runs: Sequence[RunId]) -> list[TuningRecord]:
    """Choose a learning rate for the task and arm of every run, by the study's `tune:` section.

    Everything that can be known before training is checked for all of `runs` first. Trials that are finished are not
    trained again; those that another process trains are left for the end. Returns the choices, in the order of the runs.
    Raises ConfigError under torchrun, NonFiniteError if every trial of an arm diverged, and whatever ready_jobs() raises.
    """
    if process_count() > 1:
        raise ConfigError("tune without torchrun; for several trials at once, start `repdrift tune` several times")
    ready_jobs(inputs, runs, before_tuning=True)
    searches = _searches(inputs, runs)
    for search in searches:
        _ = search.series.split  # too few rows are found before the first trial
    for wait in (False, True):
        for search in searches:
            search.advance(wait=wait)
            if search.is_done:  # recorded at once, so that a command that is killed later leaves it
                search.choice()
    choices = [search.choice() for search in searches]
    for choice in choices:
        say(choice_in_words(choice))
    return choices


def tune_arm(inputs: StudyInputs, task: str, method: str) -> TuningRecord:
    """Choose the learning rate of one arm on one task; trials of other processes are waited for, and the choice is said.

    What can be known before training is not checked here, see `ready_jobs`. Raises NonFiniteError if every trial diverged.
    """
    (search,) = _searches(inputs, [RunId(task, method, inputs.config.seeds[0])])
    for wait in (False, True):
        search.advance(wait=wait)
    choice = search.choice()
    say(choice_in_words(choice))
    return choice


@dataclass(frozen=True)
class OpenTrials:
    """The trials of one arm on one task that are not made yet. rows: training rows of one trial, without those held out."""

    job: TrainingJob
    left: int
    rows: int


def open_trials(inputs: StudyInputs, runs: Sequence[RunId]) -> list[OpenTrials]:
    """The trials that `tune_arms` would make, for each task and arm that has any left. Nothing is trained or written."""
    found: list[OpenTrials] = []
    for search in _searches(inputs, runs):
        left = search.search.section.n_trials - search.made()
        if left:
            found.append(OpenTrials(search.series.job, left, len(search.series.split.to_train.rows)))
    return found


def _searches(inputs: StudyInputs, runs: Sequence[RunId]) -> list[_ArmSearch]:
    section = inputs.config.tune
    assert section is not None  # noqa: S101  callers ask first
    seed = section.trial_seed(inputs.config.seeds)
    pairs = dict.fromkeys((run.task, run.method) for run in runs)
    return [_search(inputs, section.of_task(task), RunId(task, method, seed)) for task, method in pairs]


def _search(inputs: StudyInputs, section: TuneSection, run: RunId) -> _ArmSearch:
    job = inputs.job_before_tuning(run)
    rates = section.rates(run.method, job.arm.tuning.usual_rates)
    series = TrialSeries(job, section.held_out, tuning_folder(inputs.config, run.task, run.method))
    return _ArmSearch(inputs, series, RateSearch(section, rates, run.seed))


@dataclass
class _ArmSearch:
    """The search for the rate of one arm on one task, as far as it has come."""

    inputs: StudyInputs
    series: TrialSeries
    search: RateSearch
    trials: list[TuningTrial] = field(default_factory=list)

    @cached_property
    def key(self) -> str:
        """The hash of everything that determines the choice."""
        section = self.search.section
        return config_sha256(
            {
                **self.series.content,
                "sampler": section.sampler,
                "rates": list(self.search.rates),
                "trials": section.n_trials,
                "pruning": section.pruning,
            }
        )

    def advance(self, *, wait: bool) -> None:
        """Make the trials that are left, save those that another process is at, unless `wait` is True."""
        if not self.trials and (known := self._recorded()) is not None:
            self.trials = list(known.trials)
        busy: set[float] = set()
        while rates := [rate for rate in self.search.open_rates(self.trials) if rate not in busy]:
            rate = rates[0]
            known = self.series.finished(self.series.key(rate, self._before))
            trial = known or self.series.trial(
                rate, wait=wait, before=self._before, stop=self.search.stopping(self.trials)
            )
            if trial is None:
                busy.add(rate)
                continue
            self.trials.append(trial)
            job = self.series.job
            counter = f"[{len(self.trials)}/{self.search.section.n_trials}]"
            say(f"{counter} {job.spec.name}, {job.arm.name}, {trial_in_words(trial)}{'; done before' if known else ''}")

    def made(self) -> int:
        """The number of trials that are finished on the disk; none is trained."""
        if (known := self._recorded()) is not None:
            return len(known.trials)
        found: list[TuningTrial] = []
        while rates := self.search.open_rates(found):
            before = found if self.search.section.pruning else None
            there = (
                trial for rate in rates if (trial := self.series.finished(self.series.key(rate, before))) is not None
            )
            if (trial := next(there, None)) is None:
                break
            found.append(trial)
        return len(found)

    @property
    def is_done(self) -> bool:
        """True if no trial is left, and at least one finished."""
        return not self.search.open_rates(self.trials) and chosen_trial(self.trials) is not None

    @property
    def _before(self) -> list[TuningTrial] | None:
        return self.trials if self.search.section.pruning else None

    def choice(self) -> TuningRecord:
        """The record of the finished search: the one on the disk, or a new one, which is written."""
        if (known := self._recorded()) is not None:
            return known
        job, section = self.series.job, self.search.section
        trials = self.trials if section.sampler == "optuna" else sorted(self.trials, key=lambda t: t.learning_rate)
        best = chosen_trial(trials)
        where = f"{job.spec.name}, {job.arm.name}"
        if best is None:
            reasons = dict.fromkeys(trial.reason for trial in trials if trial.reason)
            raise NonFiniteError(
                f"{where}: none of {len(trials)} trials finished, so no learning rate can be chosen. The first: {next(iter(reasons))} "
                f"Give lower rates under tune.learning_rates.{job.arm.name}."
            )
        record = TuningRecord(
            key=self.key,
            task=job.spec.name,
            method=job.arm.name,
            words=job.arm.words,
            sampler=section.sampler,
            rates=list(self.search.rates),
            n_trials=section.n_trials,
            pruning=section.pruning,
            seed=job.seed,
            held_out=section.held_out,
            held_out_rows=self.series.split.said,
            hyperparameters={k: v for k, v in job.hyperparameters().items() if k != "learning_rate"},
            base_model=job.base.ref,
            base_digest=job.base.weights_digest(),
            base_settings=job.base_settings(),
            data_source=job.train.source,
            data_fingerprint=job.training_rows().fingerprint,
            trials=trials,
            learning_rate=best.learning_rate,
            at_edge=edge_of(trials, best.learning_rate),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        record.write(self._file)
        self.inputs.journal.note("tune", where, learning_rate=best.learning_rate, trials=len(trials))
        return record

    @property
    def _file(self) -> Path:
        return self.series.folder / f"{self.key[:32]}.json"

    def _recorded(self) -> TuningRecord | None:
        job = self.series.job
        found = choices_of(self.inputs.config, job.spec.name, job.arm.name)
        return next((choice for choice in found if choice.key == self.key), None)
