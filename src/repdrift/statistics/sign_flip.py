"""Sign flips of paired differences: an exact test for seeds that were trained under both methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.statistics.arrangements import EXACT_LIMIT, Floats, finite, stratum_labels, visited
from repdrift.statistics.permutation import Alternative, pvalue_of, require_alternative, tie_slack


@dataclass(frozen=True)
class SignFlipResult:
    """The outcome of a sign-flip test.

    statistic: the mean over strata of the mean difference, in the unit of the differences. smallest_pvalue: the least p
    that this design can give, whatever the data. n_flips: arrangements visited (all of them if `exact`). n_units: pairs
    in the test.
    """

    statistic: float
    pvalue: float
    smallest_pvalue: float
    exact: bool
    n_flips: int
    n_units: int


def sign_flip_test(
    differences: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "less",
    n_flips: int = EXACT_LIMIT,
    seed: int = 0,
) -> SignFlipResult:
    """Test whether paired differences tend to be less than zero (greater, different) by flipping their signs.

    differences: (m,), comparison minus reference of one seed each. strata: m labels, such as the task of each pair;
    None: one stratum. The test visits all 2^m arrangements if they are at most `n_flips`; else as many random ones (at
    most 100,000), with p = (1 + hits) / (1 + draws). Two-sided counts arrangements whose mean is at least as large in
    size. The least one-sided p is 2^-m: three pairs give 1/8, and five are the first to go below 0.05. A difference of
    exactly zero is kept: its flip ties and counts as a hit. Only for pairs: runs that share nothing but the number of
    their seed are two groups. Assumes that a difference is as likely as its negative if the methods do not differ.
    Raises ShapeError unless strata label every difference, NonFiniteError for NaN or Inf (nothing is dropped),
    ConfigError if n_flips < 1, UnknownNameError. Source: Fisher 1935, section 21.
    """
    require_alternative(alternative)
    pairs = finite(differences, "differences")
    shares = pairs * _weights(pairs.size, strata)
    statistic = float(shares.sum())
    visits = visited(2**pairs.size, n_flips, "n_flips")
    null = _every_flip(shares) if visits.exact else _random_flips(shares, visits.count, seed)
    mirrored = 2 if alternative == "two-sided" else 1  # all signs turned: the same size
    return SignFlipResult(
        statistic=statistic,
        pvalue=pvalue_of(null, statistic, alternative, visits=visits, slack=tie_slack(float(np.abs(pairs).max()))),
        smallest_pvalue=visits.smallest_pvalue(mirrored / 2**pairs.size),
        exact=visits.exact,
        n_flips=visits.count,
        n_units=pairs.size,
    )


def _weights(m: int, strata: Sequence[object] | None) -> Floats:
    """The weight of each difference, (m,), in the mean over strata of the mean within them."""
    labels = stratum_labels(strata, m, "difference")
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1 / (counts[index] * counts.size)


def _every_flip(shares: Floats) -> Floats:
    """The sum of `shares` (m,) under all 2^m signs. Each share doubles the list."""
    null = np.zeros(1)
    for share in shares:
        null = np.concatenate([null + share, null - share])
    return null


def _random_flips(shares: Floats, draws: int, seed: int) -> Floats:
    """The sum of `shares` (m,) under `draws` random signs, which depend on m and `seed` alone."""
    generator = np.random.default_rng(seed)
    null = np.zeros(draws)
    for share in shares:
        null += share * (2.0 * generator.integers(0, 2, size=draws) - 1)
    return null
