"""Permutation of method labels over trained models: the exact test that a handful of seeds allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import UnknownNameError
from repdrift.statistics.arrangements import (
    EXACT_LIMIT,
    Floats,
    Groups,
    by_stratum,
    finite,
    least_pvalue,
    null_differences,
    observed_difference,
)

Alternative = Literal["less", "greater", "two-sided"]
ALTERNATIVES: tuple[Alternative, ...] = ("less", "greater", "two-sided")
_TIE = 1e-12


@dataclass(frozen=True)
class PermutationResult:
    """Outcome of a label permutation test.

    statistic: mean over strata of mean(a) - mean(b). smallest_pvalue: the least p that this design can give, whatever
    the data. n_permutations: arrangements visited (all of them if `exact`). n_units: values in the test.
    """

    statistic: float
    pvalue: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


def label_permutation_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "less",
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> PermutationResult:
    """Test whether `a` tends to be less (greater, other) than `b`, by permuting the labels within strata.

    a: (m,), b: (k,) values, one per trained model. strata: a label for each value of a, then of b (m + k of them), such
    as its task; None: one stratum. Exact if there are at most `n_permutations` arrangements; else as many random ones
    (at most 100,000), p = (1 + hits) / (1 + draws). Two-sided counts arrangements whose difference is at least as large.
    Raises ShapeError if a stratum lacks one of the groups, NonFiniteError for NaN or Inf (nothing is dropped),
    ConfigError if n_permutations < 1.
    """
    if alternative not in ALTERNATIVES:
        raise UnknownNameError.of("alternative", alternative, ALTERNATIVES)
    groups = by_stratum(finite(a, "a"), finite(b, "b"), strata)
    statistic = observed_difference(groups)
    null, exact = null_differences(groups, n_permutations, seed)
    scale = max(float(np.abs(value).max()) for group in groups for value in group)
    return PermutationResult(
        statistic=statistic,
        pvalue=pvalue_of(null, statistic, alternative, exact=exact, scale=scale),
        smallest_pvalue=_smallest(groups, alternative) if exact else 1 / (1 + null.size),
        exact=exact,
        n_permutations=null.size,
        n_units=sum(x.size + y.size for x, y in groups),
    )


def pvalue_of(null: Floats, statistic: float, alternative: Alternative, *, exact: bool, scale: float) -> float:
    """Share of `null` (arrangements,) at least as extreme as `statistic`; `scale`: the largest |value| in the test.

    Arrangements that tie in exact arithmetic differ by rounding, of the size of the values; a tie counts as a hit.
    """
    slack = _TIE * scale
    if alternative == "less":
        hits = int(np.count_nonzero(null <= statistic + slack))
    elif alternative == "greater":
        hits = int(np.count_nonzero(null >= statistic - slack))
    else:
        hits = int(np.count_nonzero(np.abs(null) >= abs(statistic) - slack))
    return hits / null.size if exact else (1 + hits) / (1 + null.size)


def smallest_reachable_pvalue(sizes: Sequence[tuple[int, int]]) -> float:
    """The least one-sided p of a design: `sizes` holds (values of a, values of b) of every stratum."""
    return least_pvalue(sizes, two_sided=False)


def _smallest(groups: Groups, alternative: Alternative) -> float:
    return least_pvalue([(x.size, y.size) for x, y in groups], two_sided=alternative == "two-sided")
