"""A lower confidence bound of the reduction, by inverting the permutation test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError
from repdrift.statistics.arrangements import (
    EXACT_LIMIT,
    Floats,
    by_stratum,
    finite,
    null_differences,
    observed_difference,
)
from repdrift.statistics.permutation import pvalue_of, tie_slack
from repdrift.statistics.studentised import (
    ArrangedMoments,
    arranged_moments,
    is_studentised,
    studentised_statistics,
)

_LOWEST_MARGIN = -10.0
_HALVINGS = 40
_STEPS = 25
"""Margins tried on the way up, evenly spaced in log(1 - margin), where p may not rise all the way."""
_HIGHEST_MARGIN = 0.999


def reduction_lower_bound(
    reference: ArrayLike,
    comparison: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alpha: float = 0.05,
    studentise: bool | None = None,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> float | None:
    """A one-sided lower confidence bound (1 - alpha) of the reduction R = 1 - comparison / reference.

    reference: (m,), comparison: (k,) drifts, one per trained model; strata label reference, then comparison. The bound
    is the largest margin r for which `label_permutation_test` rejects "comparison is not below (1 - r) x reference" at
    `alpha`, and every smaller margin too. `studentise` is that test's. None if the design cannot reach alpha, or if even
    r = -10 (an eleven-fold increase) is not rejected. Assumes that the reduction is one factor for all models, as the
    test of each margin does, and drifts that are not negative. The p then rises with the margin; a studentised p nearly
    always does, so that its margins are tried from below, and the bound is where the first is not rejected.
    Raises ConfigError unless 0 < alpha < 1, and whatever `label_permutation_test` raises.
    """
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha should lie between 0 and 1, got {alpha}")
    ref, comp = finite(reference, "reference"), finite(comparison, "comparison")
    swapped = None if strata is None else [*strata[ref.size :], *strata[: ref.size]]
    studentised = is_studentised(by_stratum(comp, ref, swapped), studentise)
    build = _studentised_pvalue if studentised else _plain_pvalue
    pvalue = build(ref, comp, swapped, n_permutations, seed)
    low, high = _LOWEST_MARGIN, 1.0
    if pvalue(low) > alpha:
        return None
    if studentised:
        ratios = np.geomspace(1 - _LOWEST_MARGIN, 1 - _HIGHEST_MARGIN, _STEPS)
        for margin in (1 - ratios).tolist():
            if pvalue(margin) > alpha:
                high = margin
                break
            low = margin
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if pvalue(middle) <= alpha else (low, middle)
    return low


def _plain_pvalue(
    ref: Floats, comp: Floats, swapped: Sequence[object] | None, n_permutations: int, seed: int
) -> Callable[[float], float]:
    """The p of comparison against (1 - margin) x reference, as a function of the margin.

    The statistic is linear in the values, and the arrangements do not depend on them. The statistics of comparison
    against f x reference are those of (comparison against 0) + f x (0 against reference), visited once for all margins.
    """
    fixed = by_stratum(comp, np.zeros_like(ref), swapped)
    scaled = by_stratum(np.zeros_like(comp), ref, swapped)
    null_fixed, visits = null_differences(fixed, n_permutations, seed)
    null_scaled, _ = null_differences(scaled, n_permutations, seed)
    statistic_fixed, statistic_scaled = observed_difference(fixed), observed_difference(scaled)
    size_fixed, size_scaled = float(np.abs(comp).max()), float(np.abs(ref).max())

    def pvalue(margin: float) -> float:
        factor = 1 - margin
        return pvalue_of(
            null_fixed + factor * null_scaled,
            statistic_fixed + factor * statistic_scaled,
            "less",
            visits=visits,
            slack=tie_slack(max(size_fixed, factor * size_scaled)),
        )

    return pvalue


def _studentised_pvalue(
    ref: Floats, comp: Floats, swapped: Sequence[object] | None, n_permutations: int, seed: int
) -> Callable[[float], float]:
    """The studentised p as a function of the margin. Squared errors are quadratic in the factor, so three of them give all."""
    zero, one, minus = (
        arranged_moments(by_stratum(comp, factor * ref, swapped), n_permutations, seed) for factor in (0.0, 1.0, -1.0)
    )
    size_fixed, size_scaled = float(np.abs(comp).max()), float(np.abs(ref).max())

    def pvalue(margin: float) -> float:
        f = 1 - margin
        at_zero, at_one, at_minus = 1 - f**2, (f**2 + f) / 2, (f**2 - f) / 2  # Lagrange's weights of a parabola
        moments = ArrangedMoments(
            difference=zero.difference + f * (one.difference - minus.difference) / 2,
            error_squared=at_zero * zero.error_squared + at_one * one.error_squared + at_minus * minus.error_squared,
            observed_difference=zero.observed_difference
            + f * (one.observed_difference - minus.observed_difference) / 2,
            observed_error_squared=at_zero * zero.observed_error_squared
            + at_one * one.observed_error_squared
            + at_minus * minus.observed_error_squared,
            visits=zero.visits,
        )
        found = studentised_statistics(moments, max(size_fixed, f * size_scaled))
        return pvalue_of(found.null, found.observed, "less", visits=zero.visits, slack=found.slack)

    return pvalue
