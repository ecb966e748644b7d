"""The `tune:` section of a study: how the learning rate of every arm and task is chosen."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from repdrift.core.records.tuning import Sampler
from repdrift.core.words import counted

USUAL_TRIALS = 5
_FIRST_SEED = 90_001

Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Trials = Annotated[int, Field(ge=2, le=1000)]
RatesByArm = dict[str, tuple[Rate, ...]]


def _ascending(given: RatesByArm) -> RatesByArm:
    for name, rates in given.items():
        if len(rates) < 2:
            raise ValueError(
                f"{name}: {counted(len(rates), 'rate')} leaves nothing to choose; give two at least, or take `tune:` out and "
                f"write learning_rate under training.methods.{name}"
            )
        if len(set(rates)) < len(rates):
            raise ValueError(f"{name}: a rate stands twice in {list(rates)}")
    return {name: tuple(sorted(rates)) for name, rates in given.items()}


class TaskRates(BaseModel):
    """The rates of one task, in place of those of all tasks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: Trials | None = Field(
        default=None,
        description="Trials for each arm on this task; null takes as many as its rates, or as on other tasks.",
    )
    learning_rates: RatesByArm = Field(
        default={},
        description="By arm, as tune.learning_rates, of which none counts on this task: an arm that is not named here tries its kind's usual range.",
    )

    _choices = field_validator("learning_rates")(_ascending)


class TuneSection(BaseModel):
    """Every arm gets as many trials as every other on each task, and nothing but its learning rate is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: Trials | None = Field(
        default=None,
        description=f"Trials for each arm and task; null takes as many as the rates under learning_rates, or {USUAL_TRIALS}.",
    )
    learning_rates: RatesByArm = Field(
        default={},
        description="By arm: the rates of the grid, or the two ends of the range of Optuna's sampler. An arm that is not named tries its "
        "kind's usual range, one decade on a log scale.",
    )
    tasks: dict[str, TaskRates] = Field(
        default={}, description="By task: rates, and with them a number of trials, in place of those of all tasks."
    )
    sampler: Sampler = Field(
        default="grid", description="grid, or optuna: the package Optuna chooses the next rate from the scores so far."
    )
    pruning: bool = Field(
        default=False,
        description="Let Optuna stop trials whose scores lie below the median on the way. It favours rates that start quickly.",
    )
    held_out: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the training rows by which the trials are scored."
    )
    seed: Seed | None = Field(
        default=None, description="Seed of the trials, none of the study's; null takes one of its own."
    )

    _choices = field_validator("learning_rates")(_ascending)

    @model_validator(mode="after")
    def _trials_equal(self) -> TuneSection:
        for name, rates in self.learning_rates.items():
            if self.sampler == "optuna" and len(rates) != 2:
                raise ValueError(
                    f"learning_rates.{name}: sampler optuna takes the two ends of a range, got {list(rates)}"
                )
            if self.sampler == "grid" and len(rates) != self.n_trials:
                asked = "trials says" if self.trials is not None else "another arm has, or trials would say,"
                raise ValueError(
                    f"learning_rates.{name}: {counted(len(rates), 'rate')}, and {asked} {self.n_trials}: every arm gets equally many trials"
                )
        for task in self.tasks:
            try:
                self.of_task(task)
            except ValidationError as error:
                raise ValueError(f"tasks.{task}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
        return self

    def of_task(self, task: str) -> TuneSection:
        """Returns how rates are chosen on one task: the section with the rates that stand under the task's name, if any do."""
        own = self.tasks.get(task)
        if own is None:
            return self.model_copy(update={"tasks": {}})
        trials = own.trials
        if trials is None and (self.sampler == "optuna" or not own.learning_rates):
            trials = self.n_trials
        content = self.model_dump(exclude={"tasks"}) | {"trials": trials, "learning_rates": own.learning_rates}
        return TuneSection.model_validate(content)

    @property
    def n_trials(self) -> int:
        """Trials for each arm, on tasks without rates of their own."""
        if self.trials is not None:
            return self.trials
        lengths = [len(rates) for rates in self.learning_rates.values()] if self.sampler == "grid" else []
        return lengths[0] if lengths else USUAL_TRIALS

    def rates(self, method: str, usual: tuple[float, float]) -> list[float]:
        """The rates of an arm's grid, ascending, or the ends of its range, on tasks without rates of their own. usual: the ends of its kind's usual range."""
        if method in self.learning_rates:
            return list(self.learning_rates[method])
        if self.sampler == "optuna":
            return list(usual)
        return [float(f"{rate:.3g}") for rate in np.geomspace(*usual, self.n_trials)]

    def trial_seed(self, study_seeds: tuple[int, ...]) -> int:
        """The seed of the trials: the one that is set, or the first from 90001 on that the study does not have."""
        if self.seed is not None:
            return self.seed
        return next(seed for seed in range(_FIRST_SEED, 2**32) if seed not in study_seeds)
