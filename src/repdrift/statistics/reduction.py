"""How much less, at least: a confidence bound of the reduction by inverting the permutation test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError
from repdrift.statistics.arrangements import EXACT_LIMIT, by_stratum, finite, null_differences, observed_difference
from repdrift.statistics.permutation import pvalue_of

_LOWEST_MARGIN = -10.0
_HALVINGS = 40


def reduction_lower_bound(
    reference: ArrayLike,
    comparison: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alpha: float = 0.05,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> float | None:
    """One-sided lower confidence bound (1 - alpha) of the reduction R = 1 - comparison / reference.

    reference: (m,), comparison: (k,) drifts, one per trained model; strata label reference, then comparison. The bound
    is the largest margin r for which "comparison is not below (1 - r) x reference" is rejected at `alpha` by
    `label_permutation_test`. None if the design cannot reach alpha, or if even r = -10 (an eleven-fold increase) is not
    rejected. Assumes that the reduction is one factor for all models, as the test of each margin does, and drifts that
    are not negative: only then does p rise with the margin.
    Raises ConfigError unless 0 < alpha < 1; else as `label_permutation_test`.
    """
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha should lie between 0 and 1, got {alpha}")
    ref, comp = finite(reference, "reference"), finite(comparison, "comparison")
    swapped = None if strata is None else [*strata[ref.size :], *strata[: ref.size]]
    # The statistic is linear in the values and the arrangements do not depend on them, so that those of comparison
    # against m x reference are (comparison against 0) + m x (0 against reference): visited once for all margins.
    fixed = by_stratum(comp, np.zeros_like(ref), swapped)
    scaled = by_stratum(np.zeros_like(comp), ref, swapped)
    null_fixed, exact = null_differences(fixed, n_permutations, seed)
    null_scaled, _ = null_differences(scaled, n_permutations, seed)
    statistic_fixed, statistic_scaled = observed_difference(fixed), observed_difference(scaled)
    size_fixed, size_scaled = float(np.abs(comp).max()), float(np.abs(ref).max())

    def rejected(margin: float) -> bool:
        m = 1 - margin
        pvalue = pvalue_of(
            null_fixed + m * null_scaled,
            statistic_fixed + m * statistic_scaled,
            "less",
            exact=exact,
            scale=max(size_fixed, m * size_scaled),
        )
        return pvalue <= alpha

    low, high = _LOWEST_MARGIN, 1.0
    if not rejected(low):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low
