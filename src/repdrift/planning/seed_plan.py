"""The number of seeds that a study needs, by simulation from the results of a pilot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from repdrift.core.errors import ConfigError, DataError, DegenerateInputError
from repdrift.planning.pilot import Pilot
from repdrift.statistics import DesignPower, PowerCurve, models_needed, smallest_reachable_pvalue, unreachable
from repdrift.statistics.arrangements import MONTE_CARLO_LIMIT
from repdrift.statistics.design_power import PERMUTATIONS

FEWEST_SEEDS = 2
"""A single seed tells nothing about how much seeds differ, whatever p it can reach."""


@dataclass(frozen=True)
class SeedsNeeded:
    """The seeds that it takes to show one true reduction.

    now: power with the pilot's number of seeds (`Pilot.seeds`). needed: the smallest number of seeds of each method in each
    task with enough power; None if it is larger than all that were tried. tried: every simulated design, ascending.
    """

    reduction: float
    now: DesignPower
    needed: int | None
    tried: tuple[DesignPower, ...]


@dataclass(frozen=True)
class SeedPlan:
    """The seeds that one pilot asks for.

    smallest_pvalue: the smallest p of the pilot's own design, before correction. impossible: why that design can never be
    significant; None if it can. least_seeds: the smallest number of seeds of each method in each task that can be
    significant. spread: standard deviation of log drift between seeds, by task. spread_low, spread_high: its 95 % interval,
    for log-normal drifts.
    """

    pilot: Pilot
    smallest_pvalue: float
    impossible: str | None
    least_seeds: int
    spread: tuple[float, ...]
    spread_low: tuple[float, ...]
    spread_high: tuple[float, ...]
    degrees_of_freedom: tuple[int, ...]
    answers: tuple[SeedsNeeded, ...]


def least_models(n_strata: int, *, alpha: float, n_tests: int = 1) -> int:
    """Returns the smallest n for which n models of each method in each of `n_strata` tasks can give p <= alpha / n_tests.

    Raises ConfigError for alpha outside (0, 1) or n_tests < 1, ShapeError if there is no stratum.
    """
    n = 1
    while unreachable([(n, n)] * n_strata, alpha=alpha, n_tests=n_tests) is not None:
        n += 1
    return n


def seed_plan(
    pilot: Pilot,
    *,
    reductions: Sequence[float],
    margin: float,
    alpha: float,
    target: float = 0.8,
    n_tests: int = 1,
    max_seeds: int = 12,
    seed: int = 0,
) -> SeedPlan:
    """Returns how many seeds show that the reduction is above `margin`, for each true reduction in `reductions`.

    Simulates designs of 2, 3, ... seeds of each method in each task, and stops at `max_seeds` or at the first design with
    power `target`. `repdrift.statistics.models_needed` says what is simulated and assumed, and what it raises. Raises
    DataError for a pilot that is `missing` or whose spread overflows, and ConfigError for max_seeds < 2, for no reduction, or
    for an alpha that random arrangements cannot reach.
    """
    if pilot.missing is not None:
        raise DataError(f"{pilot.where}: {pilot.missing}")
    if max_seeds < FEWEST_SEEDS:
        raise ConfigError(f"the most seeds to try should be at least {FEWEST_SEEDS}, got {max_seeds}")
    level = alpha / n_tests
    if level * (MONTE_CARLO_LIMIT + 1) < 1:
        raise ConfigError(
            f"alpha {alpha:g}, corrected for {n_tests} test(s), is {level:.2g}: the analysis draws at most {MONTE_CARLO_LIMIT:,} "
            f"arrangements, which give no p below {1 / (MONTE_CARLO_LIMIT + 1):.5f}. Plan for fewer tests or a larger alpha"
        )
    arrangements = min(max(PERMUTATIONS, math.ceil(20 / level)), MONTE_CARLO_LIMIT)

    def curve(reduction: float, n: int) -> PowerCurve:
        try:
            # Drifts beyond the largest float have no difference to test; NaN would be taken for one.
            with np.errstate(over="raise"):
                return models_needed(
                    pilot.reference,
                    pilot.comparison,
                    reduction=reduction,
                    margin=margin,
                    strata=pilot.strata,
                    alpha=alpha,
                    n_tests=n_tests,
                    target=target,
                    n_models=[n],
                    n_permutations=arrangements,
                    seed=seed,
                )
        except (FloatingPointError, DegenerateInputError) as error:
            if isinstance(error, DegenerateInputError) and "floating-point" not in str(error):
                raise
            raise DataError(
                f"{pilot.where}: the spread between the pilot's seeds is so large or so uncertain that simulated drifts "
                "overflow. Train more seeds for the pilot"
            ) from error

    present: PowerCurve | None = None
    answers: list[SeedsNeeded] = []
    for reduction in reductions:
        present = curve(reduction, pilot.seeds)
        tried: list[DesignPower] = []
        for n in range(FEWEST_SEEDS, max_seeds + 1):
            tried.append(present.designs[0] if n == pilot.seeds else curve(reduction, n).designs[0])
            if tried[-1].power >= target:
                break
        needed = tried[-1].n_models if tried[-1].power >= target else None
        answers.append(SeedsNeeded(reduction, present.designs[0], needed, tuple(tried)))
    if present is None:
        raise ConfigError("name at least one reduction to plan for, such as 0.3")
    low, high = zip(*map(_spread_interval, present.spread, present.degrees_of_freedom), strict=True)
    return SeedPlan(
        pilot=pilot,
        smallest_pvalue=smallest_reachable_pvalue(pilot.sizes),
        impossible=unreachable(pilot.sizes, alpha=alpha, n_tests=n_tests),
        least_seeds=least_models(len(pilot.tasks), alpha=alpha, n_tests=n_tests),
        spread=present.spread,
        spread_low=low,
        spread_high=high,
        degrees_of_freedom=present.degrees_of_freedom,
        answers=tuple(answers),
    )


def _spread_interval(spread: float, freedom: int) -> tuple[float, float]:
    """Returns the 95 % interval of a normal standard deviation: s^2 df / sigma^2 follows chi-squared with df degrees of freedom."""
    low, high = (spread * math.sqrt(freedom / float(chdtri(freedom, tail))) for tail in (0.025, 0.975))
    return low, high
