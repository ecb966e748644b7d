"""Level C: the interval over models and samples at once, on simulated log drifts, and on representations of models that differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.calibration.cells import Cell, coverage
from benchmarks.calibration.limits import model_limit
from benchmarks.calibration.model_cells import NOISES
from benchmarks.calibration.models import SPREAD, Floats, Study
from benchmarks.calibration.samples import TAIL_WORDS, Population, Tails
from repdrift.similarity import measure
from repdrift.similarity.uncertainty.resampling import cka_resampled, resample_weights
from repdrift.statistics import Interval, hierarchical_reduction

LEVEL = "both"
WHAT = "hierarchical_reduction"
REPLICATES = 400
MANY = 2
"""The number of studies of log drifts for each study of representations, which takes much longer."""
REDUCTION = 0.2


@dataclass(frozen=True)
class LogPlan:
    """Log drift = task + method + model + noise of the samples; replicates have that noise once more, as a bootstrap's would.

    noise: standard deviations of what the samples add to all models of a task, to those of a method, and to each model.
    """

    study: Study
    noise: tuple[float, float, float]
    words: str

    @property
    def truth(self) -> str:
        """The truth for the table."""
        return f"{self.study.truth}; {self.words}"

    @property
    def design(self) -> str:
        """The design for the table."""
        return self.study.words

    def intervals(self, simulations: int, seed: int) -> Iterator[Interval | None]:
        """Yields one interval for each simulated study."""
        for number in range(MANY * simulations):
            generator = np.random.default_rng([seed, number])
            drifts = self.study.draw(generator)
            noise = self._sample_noise(1 + REPLICATES, generator)
            estimates = [drift[:, 0] * np.exp(own[:, 0]) for drift, own in zip(drifts, noise, strict=True)]
            replicates = [e[:, None] * np.exp(own[:, 1:]) for e, own in zip(estimates, noise, strict=True)]
            yield _ends(replicates, estimates, self.study.strata)

    def _sample_noise(self, count: int, generator: np.random.Generator) -> list[Floats]:
        """Draw (models, count) numbers for both methods."""
        common, by_method, by_model = self.noise
        tasks = self.study.tasks
        shared = common * generator.standard_normal((tasks, 1, count))
        return [
            (
                shared
                + by_method * generator.standard_normal((tasks, 1, count))
                + by_model * generator.standard_normal((tasks, m, count))
            ).reshape(tasks * m, count)
            for m in self.study.models
        ]


@dataclass(frozen=True)
class RepresentationPlan:
    """Models whose true drifts vary as in a study, measured by debiased CKA on n samples of their representations."""

    models: int
    n: int
    tails: Tails
    study: Study = field(init=False)

    def __post_init__(self) -> None:
        """The study of true drifts: 0.3 on average for the reference method."""
        object.__setattr__(self, "study", Study((self.models, self.models), ratio=1 - REDUCTION))

    @property
    def truth(self) -> str:
        """The truth for the table."""
        return f"reduction {100 * REDUCTION:g} %; representations, {TAIL_WORDS[self.tails]}, n = {self.n}"

    @property
    def design(self) -> str:
        """The design for the table."""
        return self.study.words

    def intervals(self, simulations: int, seed: int) -> Iterator[Interval | None]:
        """Yields one interval for each simulated study."""
        cka = measure("cka")
        for number in range(simulations):
            generator = np.random.default_rng([seed, number])
            level = 0.3 if self.tails != "outlier" else 0.05
            log_drifts = SPREAD * generator.standard_normal(2 * self.models) - SPREAD**2 / 2
            drifts = level * np.exp(log_drifts) * np.repeat([1, 1 - REDUCTION], self.models)
            x, *ys = Population(self.tails, tuple(drifts)).draw(self.n, generator)[0]
            base, tuned = cka.prepare(x), [cka.prepare(y) for y in ys]
            weights = resample_weights(self.n, REPLICATES, seed=number)
            replicates = 1 - cka_resampled(base, tuned, weights)
            estimates = np.array([cka.drift(cka.compare(base, y)) for y in tuned])
            m = self.models
            yield _ends([replicates[:m], replicates[m:]], [estimates[:m], estimates[m:]], self.study.strata)


def plans() -> list[LogPlan | RepresentationPlan]:
    """Returns all plans of this level."""
    noises = {
        (0.02, 0.02, 0.02): "little noise of samples",
        (0.3, 0.1, 0.05): "samples prevail",
        (0.1, 0.1, 0.2): "noise of its own in each model",
    }
    found: list[LogPlan | RepresentationPlan] = [
        LogPlan(Study(models, tasks, ratio=1 - REDUCTION, **noise), sizes, words)
        for models in ((3, 3), (5, 5), (10, 10), (2, 3), (3, 10))
        for tasks in (1, 4)
        for noise in NOISES
        for sizes, words in list(noises.items())[: None if not noise else 2]
    ]
    found += [
        RepresentationPlan(models, 277, tails) for models in (3, 5) for tails in ("normal", "lognormal", "outlier")
    ]
    return found


def simulate(plan: LogPlan | RepresentationPlan, simulations: int, seed: int) -> list[Cell]:
    """Simulate a plan and return its cell."""
    ends = list(plan.intervals(simulations, seed))
    share, given, tails = coverage(ends, REDUCTION)
    return [
        Cell(
            level=LEVEL,
            what=WHAT,
            truth=plan.truth,
            design=plan.design,
            kind="coverage",
            share=share,
            simulations=len(ends),
            given=given,
            tails=tails,
            limit=model_limit(WHAT, plan.study),
        )
    ]


def _ends(replicates: list[Floats], estimates: list[Floats], strata: list[int]) -> Interval | None:
    interval = hierarchical_reduction(*replicates, *estimates, strata=strata).interval
    return None if interval is None or math.isnan(interval.low) else interval
