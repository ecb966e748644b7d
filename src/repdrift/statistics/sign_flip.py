"""Sign flips of paired differences: the exact test where each seed was trained under both methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError, ShapeError, UnknownNameError
from repdrift.statistics.arrangements import EXACT_LIMIT, MONTE_CARLO_LIMIT, TABLE_LIMIT, Floats, finite
from repdrift.statistics.layers import MaxTResult
from repdrift.statistics.max_t import max_t_hits
from repdrift.statistics.permutation import ALTERNATIVES, Alternative, pvalue_of, tie_slack
from repdrift.statistics.tables import finite_table, known_alternative, turned

_TIE = 1e-12
_BLOCK = 4_000_000
"""Numbers held at once: 32 MB."""


@dataclass(frozen=True)
class SignFlipResult:
    """Outcome of a sign-flip test.

    statistic: mean over strata of the mean difference, in the units of the differences. smallest_pvalue: the least p
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
    """Test whether paired differences tend to be less than (greater than, other than) zero, by flipping their signs.

    differences: (m,), comparison minus reference of one seed each. strata: m labels, such as the task of each pair;
    None: one stratum. Exact if there are at most `n_flips` of the 2^m arrangements; else as many random ones (at most
    100,000), p = (1 + hits) / (1 + draws). Two-sided counts arrangements whose mean is at least as large in size.
    The least one-sided p is 2^-m: three pairs give 1/8, five the first below 0.05. A difference of exactly zero is
    kept: its flip ties and counts as a hit. Only for pairs: seeds that share no more than a number are two groups.
    Assumes that a difference is as likely as its negative where the methods do not differ.
    Raises ShapeError unless strata label every difference, NonFiniteError for NaN or Inf (nothing is dropped),
    ConfigError if n_flips < 1. Source: Fisher 1935, section 21.
    """
    if alternative not in ALTERNATIVES:
        raise UnknownNameError.of("alternative", alternative, ALTERNATIVES)
    if n_flips < 1:
        raise ConfigError(f"n_flips should be at least 1, got {n_flips}")
    pairs = finite(differences, "differences")
    shares = pairs * _weights(pairs.size, strata)
    statistic = float(shares.sum())
    arrangements = 2**pairs.size
    exact = arrangements <= n_flips
    null = _every_flip(shares) if exact else _random_flips(shares, min(n_flips, MONTE_CARLO_LIMIT), seed)
    mirrored = 2 if alternative == "two-sided" else 1  # all signs turned: the same size
    return SignFlipResult(
        statistic=statistic,
        pvalue=pvalue_of(null, statistic, alternative, exact=exact, slack=tie_slack(float(np.abs(pairs).max()))),
        smallest_pvalue=mirrored / arrangements if exact else 1 / (1 + null.size),
        exact=exact,
        n_flips=null.size,
        n_units=pairs.size,
    )


def sign_flip_layers(
    differences: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "less",
    standardise: bool = True,
    n_flips: int = TABLE_LIMIT,
    seed: int = 0,
) -> MaxTResult:
    """`sign_flip_test` in every layer, with the family-wise error of `max_t_test`: all layers of a pair flip together.

    differences: (m, L), one row per pair; or per trained model, drift minus the floor that extraction's noise sets,
    with alternative "greater": does training move the model more than the floor? Strata, alternative, n_flips, the
    least p and what is assumed as in `sign_flip_test`, in all layers at once whatever their correlation. `standardise`:
    divided by the standard deviation over all flips, so that every layer has the same say; a layer of zeros has p = 1.
    Raises ShapeError unless differences is a table with as many rows as strata; else as `sign_flip_test`.
    Source: Westfall and Young 1993, algorithm 4.1, with signs in the place of labels.
    """
    known_alternative(alternative)
    if n_flips < 1:
        raise ConfigError(f"n_flips should be at least 1, got {n_flips}")
    table = finite_table(differences, "differences")
    shares = table * _weights(len(table), strata)[:, None]
    size = np.abs(table).max(axis=0)
    slack = _TIE * size
    difference = shares.sum(axis=0)
    if standardise:
        spread = np.sqrt(np.square(shares / np.where(size > 0, size, 1.0)).sum(axis=0)) * size
        varies = spread > 0
        shares = np.where(varies, shares / np.where(varies, spread, 1.0), 0.0)
        slack = np.where(varies, slack / np.where(varies, spread, 1.0), 0.0)
    arrangements = 2 ** len(table)
    exact = arrangements <= n_flips
    visited = arrangements if exact else min(n_flips, MONTE_CARLO_LIMIT)
    blocks = (turned(block, alternative) for block in _flipped(shares, visited, exact, seed))
    hits = max_t_hits(blocks, turned(shares.sum(axis=0), alternative), slack)
    extra = 0 if exact else 1
    alone, single, stepped = ((count + extra) / (visited + extra) for count in hits)
    mirrored = 2 if alternative == "two-sided" else 1
    return MaxTResult(
        difference=difference,
        standardised=shares.sum(axis=0) if standardise else None,
        pvalue=alone,
        single_step=single,
        step_down=stepped,
        smallest_pvalue=mirrored / arrangements if exact else 1 / (1 + visited),
        exact=exact,
        n_permutations=visited,
        n_units=len(table),
    )


def _weights(m: int, strata: Sequence[object] | None) -> Floats:
    """(m,): what each difference counts for in the mean over strata of the mean within them."""
    if strata is None:
        return np.full(m, 1 / m)
    if len(strata) != m:
        raise ShapeError(f"strata should label every difference: expected {m}, got {len(strata)}")
    _, index, counts = np.unique([str(label) for label in strata], return_inverse=True, return_counts=True)
    return 1 / (counts[index] * counts.size)


def _every_flip(shares: Floats) -> Floats:
    """The sum of `shares` (m,) under all 2^m signs; each share doubles the list."""
    null = np.zeros(1)
    for share in shares:
        null = np.concatenate([null + share, null - share])
    return null


def _random_flips(shares: Floats, draws: int, seed: int) -> Floats:
    """The same under `draws` random signs, which depend on m and `seed` alone; a column at a time, to save memory."""
    generator = np.random.default_rng(seed)
    null = np.zeros(draws)
    for share in shares:
        null += share * (2.0 * generator.integers(0, 2, size=draws) - 1)
    return null


def _flipped(shares: Floats, visited: int, exact: bool, seed: int) -> Iterator[Floats]:
    """Column sums of `shares` (m, L) under all 2^m signs, or random ones: (some, L) at a time."""
    generator = np.random.default_rng(seed)
    m = len(shares)
    step = max(1, _BLOCK // max(shares.shape))
    for start in range(0, visited, step):
        size = min(step, visited - start)
        if exact:
            turned_over = (np.arange(start, start + size)[:, None] >> np.arange(m)) & 1
        else:
            turned_over = generator.integers(0, 2, size=(size, m))
        yield (1.0 - 2.0 * turned_over) @ shares
