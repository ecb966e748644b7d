"""Level B: intervals over samples, conditional on the models, of representations whose drift in the population is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.cells import Cell, coverage
from benchmarks.calibration.limits import sample_limit
from benchmarks.calibration.samples import TAIL_WORDS, Floats, Population, Tails
from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.delete_group import delete_group_values, jackknife_groups
from repdrift.similarity.uncertainty.resampling import cka_resampled, resample_weights
from repdrift.statistics import Interval, bootstrap_interval, jackknife_interval

LEVEL = "samples"
MEASURES = ("cka", "cka_biased", "cosine", "cosine_centered")
GROUPED, GROUPS = ("cka", "mutual_knn", "procrustes_angular"), 40
OFFSET = 3.0
"""The length of the mean vector that all samples share, where deviations have length 1. It makes raw cosines high."""
REFERENCE_ROWS, REFERENCE_BATCH = 400_000, 20_000
"""The number of samples whose mean cosine stands for the population's. Its error is at most a twentieth of that of 750 samples."""


@dataclass(frozen=True)
class SamplePlan:
    """A population, the number of samples drawn of it, and the methods of the intervals."""

    population: Population
    n: int
    measures: tuple[str, ...] = ("cka",)
    replicates: int = 1000
    """Bootstrap replicates of CKA; 0: no bootstrap."""
    groups: int = 0
    """Groups of samples that are left out and measured without; 0: one sample at a time, in closed form."""
    share: float = 1.0
    """The share of the studies that is simulated, for plans that take long."""

    @property
    def truth(self) -> str:
        """The truth for the table."""
        first, second = self.population.drifts
        return f"CKA drifts {first:g} and {second:g}; {TAIL_WORDS[self.population.tails]}"

    @property
    def words(self) -> str:
        """The design for the table."""
        layers = self.population.layers
        words = f"n = {self.n}" + (f", mean of {layers} layers" if layers > 1 else "")
        return words + (f", {self.groups} groups" if self.groups else "")


def plans() -> list[SamplePlan]:
    """Returns all plans of this level."""
    found = [SamplePlan(Population(tails, _drifts(tails)), n, MEASURES) for n in (277, 750) for tails in TAIL_WORDS]
    found += [SamplePlan(Population(tails, (0.01, 0.008)), 277) for tails in ("normal", "lognormal")]
    found.append(SamplePlan(Population("lognormal", _drifts("lognormal"), layers=4), 277))
    for tails in ("normal", "lognormal"):
        population = Population(tails, _drifts(tails), features=64)
        found.append(SamplePlan(population, 277, GROUPED, replicates=0, groups=GROUPS, share=1 / 3))
    return found


def _drifts(tails: Tails) -> tuple[float, float]:
    """With one dominant feature CKA hardly sees the others, and drifts are small."""
    return (0.05, 0.04) if tails == "outlier" else (0.3, 0.24)


@dataclass
class _Drawn:
    """The drifts of both methods in one draw, averaged over layers: estimates (2,), without each sample (2, n), replicates."""

    estimate: Floats
    without_one: Floats
    replicates: Floats | None
    interval: Interval | None
    """The interval of the first method's drift, by `Measure.interval`; None over several layers."""


def simulate(plan: SamplePlan, simulations: int, seed: int) -> list[Cell]:
    """Simulate a plan; yields one cell for each measure, quantity and interval."""
    drawn: dict[str, list[_Drawn]] = {name: [] for name in plan.measures}
    for number in range(max(1, round(plan.share * simulations))):
        layers = plan.population.draw(plan.n, np.random.default_rng([seed, number]), offset=OFFSET)
        sides = [[Representation(x) for x in layer] for layer in layers]
        for name in plan.measures:
            drawn[name].append(_draw(name, sides, plan, number))
    cosines = (
        _cosine_drifts(plan, min(REFERENCE_ROWS, REFERENCE_BATCH * simulations // 10), seed)
        if set(plan.measures) & {"cosine", "cosine_centered"}
        else {}
    )
    cells: list[Cell] = []
    for name, draws in drawn.items():
        if name == "cka":
            truth = np.array(plan.population.drifts)
        elif name in cosines:
            truth = cosines[name]
        else:  # what it is expected to be at this number of samples: there is no other population value to hold it to
            truth = np.mean([d.estimate for d in draws], axis=0)
        cells += _cells(name, draws, truth, plan)
    return cells


def _draw(name: str, sides: list[list[Representation]], plan: SamplePlan, number: int) -> _Drawn:
    kind, depth = measure(name), len(sides)
    estimate, without = np.zeros(2), np.zeros((2, plan.groups or plan.n))
    groups = jackknife_groups(plan.n, plan.groups, seed=number) if plan.groups else None
    bootstrap = name == "cka" and plan.replicates > 0
    weights = resample_weights(plan.n, plan.replicates, seed=number) if bootstrap else None
    replicates = np.zeros((2, plan.replicates)) if bootstrap else None
    interval = None
    for layer in sides:
        x, *ys = (kind.prepare(side) for side in layer)
        for method, y in enumerate(ys):
            estimate[method] += kind.drift(kind.compare(x, y)) / depth
            left_out = (
                kind.without_one(x, y)
                if groups is None
                else delete_group_values(kind, layer[0], layer[1 + method : 2 + method], groups)[0]
            )
            assert left_out is not None
            without[method] += (kind.self_value - left_out if kind.higher_is_similar else left_out) / depth
        if weights is not None and replicates is not None:
            replicates += (1 - cka_resampled(x, ys, weights)) / depth
        if depth == 1 and groups is None:
            ends = kind.interval(x, ys[0])
            interval = None if ends is None else Interval(kind.drift(ends.high), kind.drift(ends.low))
    return _Drawn(estimate, without, replicates, interval)


def _cosine_drifts(plan: SamplePlan, rows: int, seed: int) -> dict[str, Floats]:
    """Returns 1 - the mean cosine of both methods over many samples, raw and about the known means."""
    sums = {"cosine": np.zeros(2), "cosine_centered": np.zeros(2)}
    batches = max(1, rows // REFERENCE_BATCH)
    for batch in range(batches):
        generator = np.random.default_rng([seed, batch, 1])
        x, *ys = plan.population.draw(REFERENCE_BATCH, generator)[0]
        mean = OFFSET / math.sqrt(x.shape[1])
        for method, y in enumerate(ys):
            sums["cosine_centered"][method] += _mean_cosine(x, y) / batches
            sums["cosine"][method] += _mean_cosine(x + mean, y + mean) / batches
    return {name: 1 - values for name, values in sums.items()}


def _mean_cosine(x: Floats, y: Floats) -> float:
    return float((np.vecdot(x, y) / np.sqrt(np.vecdot(x, x) * np.vecdot(y, y))).mean())


def _cells(name: str, draws: list[_Drawn], truth: Floats, plan: SamplePlan) -> Iterator[Cell]:
    """Intervals of the first method's drift, of the difference, and of the reduction."""
    reference, comparison = float(truth[0]), float(truth[1])
    values = {
        "drift": (reference, [_of(d, lambda v: v[0]) for d in draws]),
        "difference of drifts": (reference - comparison, [_of(d, lambda v: v[0] - v[1]) for d in draws]),
        "reduction": (1 - comparison / reference, [_of(d, lambda v: 1 - v[1] / v[0]) for d in draws]),
    }
    if draws[0].interval is not None:
        yield _cell(f"{name}: drift, Measure.interval", [d.interval for d in draws], reference, plan)
    for quantity, (target, statistics) in values.items():
        ends: list[Interval | None] = [_ends("jackknife", *statistic) for statistic in statistics]
        yield _cell(f"{name}: {quantity}, jackknife", ends, target, plan)
        if statistics[0][2] is not None:
            ends = [_ends("percentile", *statistic) for statistic in statistics]
            yield _cell(f"{name}: {quantity}, percentile", ends, target, plan)
            yield _cell(f"{name}: {quantity}, bca", [_bca_ends(*s) for s in statistics], target, plan)
    logs = [_of(d, lambda v: np.log(v[1] / v[0])) for d in draws]
    ends = [Interval(1 - math.exp(high), 1 - math.exp(low)) for low, high in (_ends("jackknife", *s) for s in logs)]
    yield _cell(f"{name}: reduction, jackknife of the log ratio", ends, values["reduction"][0], plan)
    if draws[0].interval is None:
        logs = [_of(d, lambda v: np.log(v[0])) for d in draws]
        ends = [Interval(math.exp(low), math.exp(high)) for low, high in (_ends("jackknife", *s) for s in logs)]
        yield _cell(f"{name}: drift, jackknife of its log", ends, reference, plan)


def _of(drawn: _Drawn, statistic) -> tuple[float, Floats, Floats | None]:
    """Returns the statistic of the estimates, of the values without each sample, and of the replicates."""
    replicates = None if drawn.replicates is None else statistic(drawn.replicates)
    return float(statistic(drawn.estimate)), statistic(drawn.without_one), replicates


def _ends(method: str, estimate: float, without_one: Floats, replicates: Floats | None) -> Interval:
    if method == "jackknife":
        return jackknife_interval(without_one, estimate)
    assert replicates is not None
    return bootstrap_interval(replicates, estimate)


def _bca_ends(estimate: float, without_one: Floats, replicates: Floats | None) -> Interval | None:
    assert replicates is not None
    try:
        return bootstrap_interval(replicates, estimate, method="bca", leave_one_out=without_one)
    except (ConfigError, DegenerateInputError):  # an end beyond all replicates: no interval, and counted as none
        return None


def _cell(what: str, ends: list[Interval | None], truth: float, plan: SamplePlan) -> Cell:
    share, given, tails = coverage(ends, truth)
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
        limit=sample_limit(what, plan.population.tails, plan.n),
    )
