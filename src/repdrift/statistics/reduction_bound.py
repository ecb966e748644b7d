"""A lower confidence bound of the reduction, by inverting the permutation test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.statistics.arrangements import (
    EXACT_LIMIT,
    Floats,
    by_stratum,
    finite,
    not_above_zero,
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

Pair = tuple[Floats, Floats]
"""Values of the comparison and of the reference."""

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
    logarithm: bool = False,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> float | None:
    """A one-sided lower confidence bound (1 - alpha) of the reduction R = 1 - comparison / reference.

    reference: (m,), comparison: (k,) drifts, one per trained model; strata label reference, then comparison. The bound
    is the largest margin r for which `label_permutation_test` rejects "comparison is not below (1 - r) x reference" at
    `alpha`, and every smaller margin too. `studentise` is that test's. None if the design cannot reach alpha, or if even
    r = -10 (an eleven-fold increase) is not rejected. logarithm: invert the test of log comparison against log((1 - r) reference), in which a
    margin only shifts the reference, so that the p rises with it exactly; drifts must then be above 0. Assumes that the reduction is one factor for all models, as the
    test of each margin does, and drifts that are not negative. The p then rises with the margin; a studentised p nearly
    always does, so that its margins are tried from below, and the bound is where the first is not rejected.
    Raises ConfigError unless 0 < alpha < 1, DegenerateInputError for a logarithm of a drift that is not above 0, and whatever `label_permutation_test` raises.
    """
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha should lie between 0 and 1, got {alpha}")
    ref, comp = finite(reference, "reference"), finite(comparison, "comparison")
    swapped = None if strata is None else [*strata[ref.size :], *strata[: ref.size]]
    if logarithm:
        for values, name in ((ref, "reference"), (comp, "comparison")):
            if (reason := not_above_zero(values, name)) is not None:
                raise DegenerateInputError(reason)
    fixed, moved = (
        ((np.log(comp), np.log(ref)), (np.zeros_like(comp), np.ones_like(ref)))
        if logarithm
        else ((comp, np.zeros_like(ref)), (np.zeros_like(comp), ref))
    )
    studentised = is_studentised(by_stratum(comp, ref, swapped), studentise)
    build = _studentised_pvalue if studentised else _plain_pvalue
    of_factor = build(fixed, moved, swapped, n_permutations, seed)

    def pvalue(margin: float) -> float:
        return of_factor(float(np.log1p(-margin)) if logarithm else 1 - margin)

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
    fixed: Pair, moved: Pair, swapped: Sequence[object] | None, n_permutations: int, seed: int
) -> Callable[[float], float]:
    """The p of comparison against reference, both being `fixed` + f x `moved`, as a function of f.

    The statistic is linear in the values, and the arrangements do not depend on them. The statistics at f are those of `fixed` + f x those of
    `moved`, visited once for all margins.
    """
    of_fixed, of_moved = by_stratum(*fixed, swapped), by_stratum(*moved, swapped)
    null_fixed, visits = null_differences(of_fixed, n_permutations, seed)
    null_moved, _ = null_differences(of_moved, n_permutations, seed)
    statistic_fixed, statistic_moved = observed_difference(of_fixed), observed_difference(of_moved)

    def pvalue(f: float) -> float:
        return pvalue_of(
            null_fixed + f * null_moved,
            statistic_fixed + f * statistic_moved,
            "less",
            visits=visits,
            slack=tie_slack(_largest(fixed, moved, f)),
        )

    return pvalue


def _largest(fixed: Pair, moved: Pair, f: float) -> float:
    """The largest |value| of `fixed` + f x `moved`."""
    return max(float(np.abs(a + f * b).max()) for a, b in zip(fixed, moved, strict=True))


def _studentised_pvalue(
    fixed: Pair, moved: Pair, swapped: Sequence[object] | None, n_permutations: int, seed: int
) -> Callable[[float], float]:
    """The studentised p as a function of f. Squared errors are quadratic in f, so three of them give all."""
    zero, one, minus = (
        arranged_moments(by_stratum(fixed[0] + f * moved[0], fixed[1] + f * moved[1], swapped), n_permutations, seed)
        for f in (0.0, 1.0, -1.0)
    )

    def pvalue(f: float) -> float:
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
        found = studentised_statistics(moments, _largest(fixed, moved, f))
        return pvalue_of(found.null, found.observed, "less", visits=zero.visits, slack=found.slack)

    return pvalue
