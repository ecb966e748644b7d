"""The search for a learning rate: a grid, or the proposals of Optuna's sampler; and when a trial is stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from repdrift.core.errors import ConfigError
from repdrift.core.records.tuning import TuningTrial
from repdrift.study.tune_section import TuneSection
from repdrift.training import StopAfter

_NAME = "learning_rate"
_STARTUP_TRIALS = 2
"""Trials that are drawn evenly, or never stopped, before Optuna learns from them."""


@dataclass(frozen=True)
class RateSearch:
    """The search for one arm's rate on one task. rates: of the grid, or the ends of the range. seed: of Optuna's sampler.

    Raises ConfigError if Optuna is asked for and not installed.
    """

    section: TuneSection
    rates: Sequence[float]
    seed: int

    def __post_init__(self) -> None:
        """Look for Optuna now, not after the first trials."""
        if self.section.sampler == "optuna" or self.section.pruning:
            _ = self._optuna

    @property
    def in_order(self) -> bool:
        """True if each trial depends on those before it, so that they are made one after another."""
        return self.section.sampler == "optuna" or self.section.pruning

    def open_rates(self, trials: Sequence[TuningTrial]) -> list[float]:
        """The rates that can be tried next; none if all trials are made. A search in order has one at a time."""
        if len(trials) >= self.section.n_trials:
            return []
        if self.section.sampler == "optuna":
            # A sampler of its own for each trial: a search that was stopped goes on with the rates of one that was not.
            trial = self._study(trials, self.seed + len(trials)).ask(self._distributions)
            return [float(trial.params[_NAME])]
        done = {trial.learning_rate for trial in trials}
        left = [rate for rate in self.rates if rate not in done]
        return left[:1] if self.in_order else left

    def stopping(self, trials: Sequence[TuningTrial]) -> StopAfter | None:
        """Returns what stops the next trial, as Optuna's median pruner has it; None without pruning."""
        if not self.section.pruning:
            return None
        trial = self._study(trials, self.seed).ask(self._distributions)

        def stop(step: int, score: float) -> bool:
            trial.report(score, step)
            return bool(trial.should_prune())

        return stop

    @cached_property
    def _optuna(self) -> Any:
        try:
            import optuna
        except ImportError as error:
            raise ConfigError(
                "tune: sampler optuna and pruning need the package optuna: pip install 'repdrift[tune]', or take sampler: grid without pruning"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna

    @property
    def _distributions(self) -> dict[str, Any]:
        low, high = min(self.rates), max(self.rates)
        return {_NAME: self._optuna.distributions.FloatDistribution(low, high, log=True)}

    def _study(self, trials: Sequence[TuningTrial], seed: int) -> Any:
        optuna = self._optuna
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(n_startup_trials=_STARTUP_TRIALS, seed=seed % 2**32),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
        )
        states = optuna.trial.TrialState
        for trial in trials:
            # A trial that diverged counts as the worst one; the sampler would take no notice of a failed one.
            state = states.COMPLETE if trial.outcome == "finished" else states.PRUNED
            study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    value=trial.score if state == states.COMPLETE else None,
                    params={_NAME: trial.learning_rate},
                    distributions=self._distributions,
                    intermediate_values=trial.scores_along,
                )
            )
        return study
