"""Equivalence of two groups of trained models: a test that their ratio lies within a factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.statistics.arrangements import EXACT_LIMIT, by_stratum, finite, not_above_zero
from repdrift.statistics.permutation import label_permutation_test


@dataclass(frozen=True)
class EquivalenceResult:
    """The outcome of an equivalence test.

    ratio: mean(a) / mean(b), each a mean over strata of group means. pvalue: of the claim that the ratio lies within the
    factor. opposite_pvalue: of the claim that it lies beyond. smallest_pvalue: the least pvalue that this design can
    give, whatever the data. n_permutations: arrangements visited by each one-sided test (all of them if `exact`).
    n_units: trained models in the test.
    """

    ratio: float
    pvalue: float
    opposite_pvalue: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


def equivalence_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    factor: float,
    strata: Sequence[object] | None = None,
    studentise: bool | None = None,
    logarithm: bool = False,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> EquivalenceResult:
    """Test that 1/factor < a/b < factor: two one-sided label permutation tests (TOST).

    a: (m,), b: (k,) values, one per trained model; strata label a, then b. factor: above 1, such as 1.25: within a
    quarter more or a fifth less. The claim is tested on a against factor x b and on factor x a against b; its pvalue is
    the larger of the two, which needs no correction. The opposite claim, beyond the factor on either side, has twice the
    smaller p of its two sides, at most 1. Choose the factor before the data are seen. Assumes that, at the factor, the
    labels can be exchanged: the groups have one shape and spread up to the factor. logarithm: test the logarithms, for values that are all
    above 0. `studentise`, and its effect for
    unequal numbers and spreads, as in `label_permutation_test`.
    Raises ConfigError unless the factor is finite and above 1, DegenerateInputError if the mean over strata of a or b is
    not above zero, or for a logarithm some value, and whatever `label_permutation_test` raises.
    Source: Schuirmann 1987 (TOST), with permutation in the place of Student's t.
    """
    if not (np.isfinite(factor) and factor > 1):
        raise ConfigError(f"the factor of an equivalence should be finite and above 1, got {factor}")
    x, y = finite(a, "a"), finite(b, "b")
    groups = by_stratum(x, y, strata)
    means = [float(np.mean([group[which].mean() for group in groups])) for which in (0, 1)]
    for mean, name in zip(means, "ab", strict=True):
        if mean <= 0:
            raise DegenerateInputError(f"the mean of {name} is {mean:g}: a ratio needs means above zero")
    pairs = ((x, factor * y), (factor * x, y))
    if logarithm:
        for values, name in ((x, "a"), (y, "b")):
            if (reason := not_above_zero(values, name)) is not None:
                raise DegenerateInputError(reason)
        pairs = tuple((np.log(one), np.log(other)) for one, other in pairs)
    upper, lower = (
        {
            alternative: label_permutation_test(
                *pair,
                strata=strata,
                alternative=alternative,
                studentise=studentise,
                n_permutations=n_permutations,
                seed=seed,
            )
            for alternative in ("less", "greater")
        }
        for pair in pairs
    )
    claims = upper["less"], lower["greater"]
    opposites = upper["greater"], lower["less"]
    return EquivalenceResult(
        ratio=means[0] / means[1],
        pvalue=max(test.pvalue for test in claims),
        opposite_pvalue=min(1.0, 2 * min(test.pvalue for test in opposites)),
        smallest_pvalue=max(test.smallest_pvalue for test in claims),
        exact=claims[0].exact,
        n_permutations=claims[0].n_permutations,
        n_units=claims[0].n_units,
    )
