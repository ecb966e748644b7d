"""Level D: samples that come in groups, such as questions on one paragraph: intervals over groups, and the error of ignoring them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.cells import Cell, Limit, coverage
from benchmarks.calibration.samples import Floats, Population
from repdrift.drift.memory_need import PreparedModels
from repdrift.drift.resampled_drift import bootstrapped_drifts, delete_group_drifts, reflected
from repdrift.drift.sample_intervals import Draws, SamplingOptions, draws_of, sample_interval
from repdrift.drift.sample_units import ALONE, SampleUnits
from repdrift.similarity import Representation, measure
from repdrift.statistics import grouped_mean

LEVEL = "groups"
DRIFTS = (0.3, 0.24)
RIGHT = 0.7
"""The share of items that are answered rightly, in the population."""
JACKKNIFE, RESAMPLES = SamplingOptions(replicates=0), SamplingOptions(replicates=400, method="percentile")
FEW = Limit(
    0.85,
    "10 groups, the fewest that have an interval, alike to a half or in pairs of unequal size: read it as a rough one",
)
IGNORED = Limit(0.0, "what ignoring groups does: no interval of the report")
UNEQUAL = "of 2 to 40 samples"


@dataclass(frozen=True)
class GroupPlan:
    """A number of groups, their size (None: unequal), and the share of the variance that the samples of a group have in common."""

    groups: int
    size: int | None
    icc: float
    population: Population = field(default_factory=lambda: Population("normal", DRIFTS, features=64))
    share: float = 1.0

    @property
    def words(self) -> str:
        """The design for the table."""
        return f"{self.groups} groups"

    @property
    def truth(self) -> str:
        """The truth for the table."""
        return f"{f'of {self.size} samples' if self.size else UNEQUAL}, intraclass correlation {self.icc:g}"

    @property
    def labels(self) -> NDArray[np.int64]:
        """The group of each sample."""
        if self.size is not None:
            return np.repeat(np.arange(self.groups), self.size)
        sizes = np.random.default_rng(5).lognormal(math.log(8), 0.7, self.groups).round().astype(np.int64)
        return np.repeat(np.arange(self.groups), np.clip(sizes, 2, 40))


def plans() -> list[GroupPlan]:
    """Returns all plans of this level."""
    found = [GroupPlan(groups, size, icc) for groups in (10, 20, 40) for size in (5, 20) for icc in (0.1, 0.3, 0.5)]
    return found + [GroupPlan(groups, None, 0.3) for groups in (10, 20, 40)]


def simulate(plan: GroupPlan, simulations: int, seed: int) -> list[Cell]:
    """Simulate a plan; returns a cell for each quantity and interval."""
    labels = plan.labels
    names = [str(label) for label in labels]
    ends: dict[str, list[tuple[float, float] | None]] = {}
    for number in range(max(1, round(plan.share * simulations))):
        generator = np.random.default_rng([seed, number])
        for what, interval in _drawn(plan, labels, names, generator, f"{seed} {number}"):
            ends.setdefault(what, []).append(interval)
    return [_cell(plan, what, found) for what, found in ends.items()]


def _drawn(
    plan: GroupPlan, labels: NDArray[np.int64], names: list[str], generator: np.random.Generator, fingerprint: str
) -> Iterator[tuple[str, tuple[float, float] | None]]:
    """Draws one sample set; yields every interval with its name."""
    layer = plan.population.draw(labels.size, generator, groups=labels, icc=plan.icc)[0]
    sides = [Representation(x) for x in layer]
    m = measure("cka")
    base, *tuned = (m.prepare(side) for side in sides)
    drifts = np.array([m.drift(m.compare(base, y)) for y in tuned])
    draws = draws_of(labels.size, names, fingerprint, RESAMPLES)
    units = SampleUnits(plan.groups, "group", draws.units.freedom, draws.units.resampled_freedom, corrected=True)
    without = delete_group_drifts(m, base, tuned, draws, (sides[0], sides[1:]))
    resampled = bootstrapped_drifts(m, base, PreparedModels(tuned.__getitem__, 2, 2), [0, 1], draws)
    alone = delete_group_drifts(m, base, tuned, Draws(None, None, by_sample=True), (sides[0], sides[1:]))
    assert without is not None
    assert resampled is not None
    assert alone is not None
    turned = np.array([reflected(float(d), drawn, plan.groups) for d, drawn in zip(drifts, resampled, strict=True)])
    for what, statistic in (("drift", lambda v: v[0]), ("reduction", lambda v: v[1] / v[0])):
        estimate = float(statistic(drifts))
        for how, ends in (
            ("jackknife over groups", _ends(estimate, None, statistic(without), JACKKNIFE, units)),
            ("bootstrap over groups, reflected", _ends(estimate, statistic(turned), None, RESAMPLES, units)),
            ("jackknife that ignores groups", _ends(estimate, None, statistic(alone), JACKKNIFE, ALONE)),
        ):
            yield f"{what}, {how}", ends
    yield from _scores(plan, labels, names, generator)


def _scores(
    plan: GroupPlan, labels: NDArray[np.int64], names: list[str], generator: np.random.Generator
) -> Iterator[tuple[str, tuple[float, float] | None]]:
    """Draws right and wrong answers whose groups are as alike as the samples: a beta law of the share right in a group."""
    weight = 1 / plan.icc - 1
    shares = generator.beta(RIGHT * weight, (1 - RIGHT) * weight, size=plan.groups)
    right = (generator.random(labels.size) < shares[labels]).astype(np.float64)
    yield "mean score, jackknife over groups", grouped_mean(right, names).interval
    sums, sizes = np.bincount(labels, weights=right), np.bincount(labels)
    drawn = generator.multinomial(plan.groups, [1 / plan.groups] * plan.groups, size=RESAMPLES.replicates)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
    yield "mean score, bootstrap percentile over groups", (float(low), float(high))
    yield "mean score, jackknife that ignores groups", grouped_mean(right).interval


def _ends(
    estimate: float, bootstrap: Floats | None, without: Floats | None, options: SamplingOptions, units: SampleUnits
) -> tuple[float, float] | None:
    parts = None if without is None else [without]
    found = sample_interval(estimate, bootstrap, parts, options, log_scale=True, units=[units])
    return None if found is None else (found.low, found.high)


def _cell(plan: GroupPlan, what: str, ends: list[tuple[float, float] | None]) -> Cell:
    truth = {"drift": DRIFTS[0], "reduction": DRIFTS[1] / DRIFTS[0], "mean score": RIGHT}[
        what.split(",", maxsplit=1)[0]
    ]
    share, given, tails = coverage(ends, truth)
    limit = None
    if "ignores" in what:
        limit = IGNORED
    elif "percentile" in what or plan.groups < 20:
        limit = FEW
    return Cell(
        level=LEVEL,
        what=what,
        truth=plan.truth,
        design=plan.words,
        kind="coverage",
        share=share,
        simulations=len(ends),
        given=given,
        tails=tails,
        limit=limit,
    )
