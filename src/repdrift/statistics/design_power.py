"""The power of designs: how many trained models, and how many samples, a claim needs, from a pilot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError, DegenerateInputError, ShapeError
from repdrift.statistics.arrangements import Floats, Groups, by_stratum, finite, least_pvalue, not_above_zero
from repdrift.statistics.column_differences import column_differences
from repdrift.statistics.permutation import Alternative, require_alternative

PERMUTATIONS = 20_000
"""Arrangements for each simulated study. If there are more, random ones cost hardly any power."""
_EQUAL = 1 + 1e-12
_LARGEST_LOG = 600.0
"""The largest log drift. The exponentials of larger ones, summed over models, overflow, and inf - inf is no evidence."""


@dataclass(frozen=True)
class DesignPower:
    """The power of a design with `n_models` models per method and task.

    power: the share of simulated studies that reject; 0, without simulation, if the design cannot reach alpha. error:
    the standard error of that share from the number of simulations, which is above zero for shares of 0 and 1; 0 if
    nothing was simulated. smallest_pvalue: the least p of the design, whatever the data, before any correction. exact:
    whether each study was tested by all arrangements.
    """

    n_models: int
    power: float
    error: float
    smallest_pvalue: float
    exact: bool


@dataclass(frozen=True)
class PowerCurve:
    """The power by number of models, and the least number that is enough.

    needed: the least n_models whose simulated power is at least `target`; None if none of those tried reaches it.
    spread: the standard deviation of log drift within method and task, by task. degrees_of_freedom: of each spread.
    """

    designs: tuple[DesignPower, ...]
    needed: int | None
    target: float
    alpha: float
    n_tests: int
    reduction: float
    margin: float
    spread: tuple[float, ...]
    degrees_of_freedom: tuple[int, ...]


def models_needed(
    reference: ArrayLike,
    comparison: ArrayLike,
    *,
    reduction: float,
    margin: float = 0.0,
    strata: Sequence[object] | None = None,
    alpha: float = 0.05,
    n_tests: int = 1,
    target: float = 0.8,
    n_models: Sequence[int] = range(2, 13),
    uncertain_spread: bool = True,
    n_simulations: int = 1000,
    n_permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> PowerCurve:
    """Simulate how many trained models per method and task show a reduction above `margin`, if the true one is `reduction`.

    reference: (m,), comparison: (k,) pilot drifts, one per trained model; strata label reference, then comparison, such
    as by task; None: one. Each simulated study has n models of both methods in every stratum of the pilot and tests
    log comparison against log((1 - margin) x reference) by `label_permutation_test`, one-sided at alpha / n_tests, as the analysis does.

    Assumes that log drift is normal, with one spread for both methods in a stratum (the pilot's, pooled over methods);
    that reference drifts lie about the pilot's geometric mean in the stratum; that the reduction is the same in all
    strata; that models are independent. `uncertain_spread` draws each study's variance from what the pilot leaves
    possible, s^2 df / chi^2(df), so that few pilot models ask for more; without it, the pilot's variance is taken as
    known. The pilot's own reduction plays no part: planning for what a small pilot happened to show promises too much.

    Raises ConfigError unless margin < reduction < 1, for levels outside (0, 1), numbers below 1, or where random
    arrangements are too few to reach alpha; DegenerateInputError for a drift that is not above 0, a stratum without
    variation, or a pilot so small that spreads beyond floating point are possible; ShapeError for a stratum with one
    model of each method; NonFiniteError for NaN or Inf.
    """
    _check_plan(reduction, margin, target, n_models, n_simulations, n_permutations)
    level = _corrected(alpha, n_tests)
    ref, comp = (_logs(finite(v, name), name) for v, name in ((reference, "reference"), (comparison, "comparison")))
    groups = by_stratum(ref, comp, strata)
    spreads, freedom = zip(*[_spread(x, y) for x, y in groups], strict=True)
    designs: list[DesignPower] = []
    for n in sorted(set(n_models)):
        smallest = least_pvalue([(n, n)] * len(groups), two_sided=False)
        if smallest > level * _EQUAL:
            designs.append(DesignPower(n, 0.0, 0.0, smallest, exact=True))
            continue
        generator = np.random.default_rng([seed, n])
        scale = np.tile(np.array(spreads), (n_simulations, 1))
        if uncertain_spread:
            scale *= np.sqrt(np.array(freedom) / generator.chisquare(freedom, size=scale.shape))
        studies = _studies(groups, scale, n, (1 - reduction) / (1 - margin), generator)
        table = column_differences(
            *studies,
            strata=[stratum for _ in studies for stratum in range(len(groups)) for _ in range(n)],
            standardise=False,
            n_permutations=n_permutations,
            seed=seed,
        )
        if table.smallest_pvalue("less") > level * _EQUAL:
            raise ConfigError(
                f"{table.visits.count} random arrangements give no p below {table.smallest_pvalue('less'):.2g}, and alpha "
                f"after correction is {level:.2g}: raise n_permutations"
            )
        rejected = int((table.pvalues("less") <= level * _EQUAL).sum())
        softened = (rejected + 1) / (n_simulations + 2)
        designs.append(
            DesignPower(
                n_models=n,
                power=rejected / n_simulations,
                error=math.sqrt(softened * (1 - softened) / n_simulations),
                smallest_pvalue=smallest,
                exact=table.visits.exact,
            )
        )
    return PowerCurve(
        designs=tuple(designs),
        needed=next((d.n_models for d in designs if d.power >= target), None),
        target=target,
        alpha=alpha,
        n_tests=n_tests,
        reduction=reduction,
        margin=margin,
        spread=spreads,
        degrees_of_freedom=freedom,
    )


def unreachable(
    sizes: Sequence[tuple[int, int]], *, alpha: float = 0.05, n_tests: int = 1, alternative: Alternative = "less"
) -> str | None:
    """Returns why a label permutation test of this design can never be significant, as a sentence; None if it can.

    sizes: (models of a, models of b) of every stratum. n_tests: how many tests are corrected together, by Bonferroni or
    by Holm, whose first step is the same. A max-T test over layers counts as one test.
    Raises ConfigError unless 0 < alpha < 1 and n_tests >= 1, ShapeError unless every stratum has models of both.
    """
    require_alternative(alternative)
    level = _corrected(alpha, n_tests)
    if not sizes or any(min(pair) < 1 for pair in sizes):
        raise ShapeError(
            f"every stratum should have models of both methods, and there should be one; got {list(sizes)}"
        )
    smallest = least_pvalue(sizes, two_sided=alternative == "two-sided")
    if smallest <= level * _EQUAL:
        return None
    design = ", ".join(f"{m} against {k}" for m, k in sizes)
    corrected = "" if n_tests == 1 else f", or {min(1.0, n_tests * smallest):.3g} after correction for {n_tests} tests"
    return f"{design}: no data give a p below {smallest:.3g}{corrected}; alpha is {alpha:g}"


def samples_needed(half_width: float, n_samples: int, *, target: float) -> int:
    """The number of samples that brings the half-width of an interval down to `target`, by the 1 / sqrt(n) law.

    half_width: of a pilot interval over n_samples samples, in the unit of target. Meant for intervals over samples,
    which are conditional on the trained models: no number of samples narrows what other seeds would give. The result is
    below n_samples if the pilot was narrower than needed. Raises ConfigError unless all three are above 0 and finite.
    """
    if not (0 < half_width < math.inf and 0 < target < math.inf and n_samples >= 1):
        raise ConfigError(
            f"half-widths and the number of samples should be above 0 and finite; got {half_width}, {target}, {n_samples}"
        )
    return max(1, math.ceil(n_samples * (half_width / target) ** 2 * (1 - 1e-12)))


def _studies(
    groups: Groups, scale: Floats, n: int, ratio: float, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Simulated log drifts of comparison and reference, each (strata x n, studies); the test should find `ratio` < 1."""
    level = np.array([x.mean() for x, _ in groups])
    logs = level[:, None, None] + scale.T[:, None, :] * generator.normal(size=(2, len(groups), n, len(scale)))
    if float(np.abs(logs).max()) > _LARGEST_LOG:
        raise DegenerateInputError(
            f"the pilot leaves spreads of log drift up to {float(scale.max()):.3g} possible, which no floating-point number "
            f"holds: {len(groups)} strata with so few models are no pilot; take more models"
        )
    logs = logs.reshape(2, len(groups) * n, len(scale))
    return math.log(ratio) + logs[0], logs[1]


def _spread(x: Floats, y: Floats) -> tuple[float, int]:
    freedom = x.size + y.size - 2
    if freedom < 1:
        raise ShapeError("a stratum has one model of each method: a spread needs two of one of them")
    if np.ptp(x) == 0 and np.ptp(y) == 0:
        raise DegenerateInputError(
            "the pilot drifts of a stratum do not vary within methods: there is no spread to plan by"
        )
    squares = np.square(x - x.mean()).sum() + np.square(y - y.mean()).sum()
    return math.sqrt(float(squares) / freedom), freedom


def _logs(drifts: NDArray[np.float64], name: str) -> Floats:
    if (reason := not_above_zero(drifts, name)) is not None:
        raise DegenerateInputError(reason)
    return np.log(drifts)


def _corrected(alpha: float, n_tests: int) -> float:
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha should lie between 0 and 1, got {alpha}")
    if n_tests < 1:
        raise ConfigError(f"n_tests should be at least 1, got {n_tests}")
    return alpha / n_tests


def _check_plan(
    reduction: float, margin: float, target: float, n_models: Sequence[int], n_simulations: int, n_permutations: int
) -> None:
    faults: list[str] = []
    if not -math.inf < margin < reduction < 1:
        faults.append(f"a reduction should lie above the margin and below 1: reduction {reduction}, margin {margin}")
    if not 0 < target < 1:
        faults.append(f"a power lies between 0 and 1, such as 0.8; got {target}")
    if not len(n_models) or min(n_models) < 1:
        faults.append(f"n_models should list numbers of at least 1; got {list(n_models)}")
    if min(n_simulations, n_permutations) < 1:
        faults.append(f"n_simulations and n_permutations should be at least 1; got {n_simulations}, {n_permutations}")
    if faults:
        raise ConfigError("; ".join(faults))
