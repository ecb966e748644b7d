"""Trials of a learning rate: trainings that are scored on training rows held out of them, and of which no weights are kept."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from repdrift.core.errors import DataError, NonFiniteError, StorageError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.reading import stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.tuning import TRIALS_FOLDER, TUNING_FORMAT_VERSION, TuningTrial
from repdrift.statistics import grouped_mean
from repdrift.training.checkpoints import checkpoint_steps
from repdrift.training.fitted_job import fit_job
from repdrift.training.held_out_rows import HeldOut, hold_out
from repdrift.training.run_claim import run_claim
from repdrift.training.scores import Scored
from repdrift.training.training_job import TrainingJob

SCORED_ALONG = 4
"""Times that a trial is scored, evenly spaced, where it may be stopped early."""

StopAfter = Callable[[int, float], bool]
"""Given a step and the score after it, tells whether the trial is to be stopped."""


class _StoppedError(Exception):
    """The trial was stopped early."""


@dataclass(frozen=True)
class TrialSeries:
    """The trials of one arm on one task. job: with the study's options and the trials' seed; its rate is not used.

    held_out: the share of the training rows that is held out. folder: where finished trials lie.
    """

    job: TrainingJob
    held_out: float
    folder: Path

    @cached_property
    def split(self) -> HeldOut:
        """The training rows in two parts. Raises DataError if there are too few of them."""
        return hold_out(self.job.spec, self.job.training_rows(), self.held_out, never=self.job.validation.rows)

    @cached_property
    def content(self) -> dict[str, object]:
        """Everything that the trials share and that determines their scores, as plain JSON."""
        job = self.job
        return {
            "format": TUNING_FORMAT_VERSION,
            "task": job.spec.name,
            "kind": job.spec.kind,
            "spec": job.spec.for_key(),
            "method": job.arm.name,
            "seed": job.seed,
            "base": job.base.weights_digest(),
            "base_settings": job.base_settings(),
            "options": {name: value for name, value in job.hyperparameters().items() if name != "learning_rate"},
            "train": self.split.to_train.fingerprint,
            "held_out": self.split.held_out.fingerprint,
        }

    def key(self, learning_rate: float, before: Sequence[TuningTrial] | None = None) -> str:
        """The hash of everything that determines a trial. before: the earlier trials, where these may stop it early."""
        after = {} if before is None else {"after": [trial.key for trial in before]}
        return config_sha256({**self.content, "learning_rate": learning_rate, **after})

    def finished(self, key: str) -> TuningTrial | None:
        """The finished trial of this key. One that cannot be read is said, and counts as none."""
        path = self._file(key)
        try:
            found = TuningTrial.read(path) if stands_there(path) else None
        except (DataError, StorageError) as error:
            say(f"left out, cannot be read: {error}")
            return None
        return found if found is not None and found.key == key else None

    def trial(
        self,
        learning_rate: float,
        *,
        wait: bool,
        before: Sequence[TuningTrial] | None = None,
        stop: StopAfter | None = None,
    ) -> TuningTrial | None:
        """Train with this learning rate, unless a finished trial of the same key is there; then return that.

        Returns None at once if another process is at it and `wait` is False. Raises StorageError if the disk does not take it.
        """
        key = self.key(learning_rate, before)
        if (known := self.finished(key)) is not None:
            return known
        words = f"{self.job.spec.name}, {self.job.arm.name}, trial at learning rate {learning_rate:.3g}"
        with run_claim(self.folder, key, words, wait=wait) as is_mine:
            if not is_mine:
                return None
            if (known := self.finished(key)) is not None:
                return known
            found = self._train(key, learning_rate, words, stop)
            found.write(self._file(key))
            return found

    def _train(self, key: str, learning_rate: float, words: str, stop: StopAfter | None) -> TuningTrial:
        split, started, clock = self.split, datetime.now(UTC), time.perf_counter()
        options = self.job.options
        job = replace(
            self.job,
            train=split.to_train,
            validation=split.held_out,
            options=options.model_copy(
                update={
                    "learning_rate": learning_rate,
                    "keep": "last",
                    "max_train_samples": None,  # they are chosen already
                    "max_validation_samples": None,
                }
            ),
        )
        keeps_best, along = options.keep == "best", dict[int, float]()

        def due(total: int) -> list[int]:
            steps = set(checkpoint_steps(options, total)) if keeps_best else set[int]()
            if stop is not None:
                steps |= {max(1, total * part // SCORED_ALONG) for part in range(1, SCORED_ALONG)}
            return sorted(steps)

        def after_score(step: int, scored: Scored) -> None:
            along[step] = _score(scored)
            if stop is not None and stop(step, along[step]):
                raise _StoppedError(step)

        say(f"trying {words}")
        folder = self.folder / f".{key[:32]}"
        outcome, reason, scored, steps, device = "finished", None, None, None, None
        try:
            fitted = fit_job(job, self.job.classes(), folder, saves=False, due=due, after_score=after_score)
            steps, found = fitted.result.steps, fitted.scores_at.scored
            # The best checkpoint is what a run would keep; these rows are those that it would choose it by.
            scored = found[min(found, key=lambda step: (-_score(found[step]), step)) if keeps_best else steps]
            device = str(next(fitted.tuned.model.parameters()).device)
            del fitted
        except NonFiniteError as error:
            outcome, reason = "diverged", str(error)
        except _StoppedError as stopped:
            outcome, steps = "stopped", int(stopped.args[0])
            reason = f"stopped after step {steps}, since other trials had better scores there"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            gc.collect()  # model and trainer refer to each other
        interval = grouped_mean(scored.items, scored.groups).interval if scored is not None else None
        if interval is not None and interval.low == interval.high:
            interval = None  # all rows have the same score, which says nothing of how others would do
        return TuningTrial(
            key=key,
            learning_rate=learning_rate,
            outcome=outcome,
            metric=scored.metric if scored is not None else None,
            score=_score(scored) if scored is not None else None,
            low=interval.low if interval is not None else None,
            high=interval.high if interval is not None else None,
            constant_score=float(np.mean(scored.constant)) if scored is not None else None,
            metrics=dict(scored.metrics) if scored is not None else {},
            scores_along=along,
            reason=reason,
            n_train=len(split.to_train.rows),
            n_held_out=len(split.held_out.rows),
            steps=steps,
            started=started.isoformat(timespec="seconds"),
            wall_time_s=round(time.perf_counter() - clock, 2),
            device=device,
            versions=library_versions(),
        )

    def _file(self, key: str) -> Path:
        return self.folder / TRIALS_FOLDER / f"{key[:32]}.json"


def _score(scored: Scored) -> float:
    return float(np.mean(scored.items))
