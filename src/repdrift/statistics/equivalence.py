"""Claims with a margin over trained models: no more different than, or less by more than, what was said beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError, DegenerateInputError, UnknownNameError
from repdrift.statistics.arrangements import EXACT_LIMIT, Floats, Groups, by_stratum, finite, observed_difference
from repdrift.statistics.permutation import PermutationResult, label_permutation_test

EquivalenceScale = Literal["difference", "ratio"]
EQUIVALENCE_SCALES: tuple[EquivalenceScale, ...] = ("difference", "ratio")
MarginVerdict = Literal["supported", "rejected", "undecided"]


@dataclass(frozen=True)
class MarginResult:
    """Outcome of a claim with a margin.

    estimate: what the claim is about: difference or ratio (`equivalence_test`), reduction (`superiority_test`), from
    means over strata of group means. pvalue: of the claim. opposite_pvalue: of its opposite, beyond the margin.
    smallest_*: the least that this design can give, whatever the data. n_permutations: arrangements visited by each
    one-sided test (all of them if `exact`). n_units: trained models in the test. studentised: whether differences were
    compared in standard errors.
    verdict: `supported` if pvalue <= alpha; `rejected` if not, and opposite_pvalue <= alpha; else `undecided`: a large
    pvalue by itself rejects nothing. sentence: the same in plain words.
    """

    estimate: float
    margin: float
    pvalue: float
    smallest_pvalue: float
    opposite_pvalue: float
    smallest_opposite_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int
    alpha: float
    verdict: MarginVerdict
    sentence: str
    studentised: bool = False


def equivalence_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    margin: float,
    scale: EquivalenceScale = "difference",
    strata: Sequence[object] | None = None,
    alpha: float = 0.05,
    studentise: bool | None = None,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> MarginResult:
    """Test that a and b differ by less than a margin: two one-sided label permutation tests (TOST).

    a: (m,), b: (k,) values, one per trained model; strata label a, then b. `difference`: the claim is
    |a - b| < margin, in the unit of the values, tested on a - margin against b and on a + margin against b. `ratio`:
    the claim is 1/margin < a/b < margin, a margin above 1 (1.25: within a quarter more or a fifth less), tested on
    a against margin x b and on margin x a against b. pvalue is the larger of the two, which needs no correction.
    The opposite claim, beyond the margin on either side, has twice the smaller p of its two sides, at most 1.
    Choose the margin before the data are seen. Assumes that, at the margin, the labels can be exchanged: the groups
    have one shape and spread up to the shift (`ratio`: up to the factor). `studentise`, and what it does for unequal
    numbers and spreads, as in `label_permutation_test`.
    Raises ConfigError unless the margin is finite and above 0 (`ratio`: 1) and 0 < alpha < 0.5, DegenerateInputError
    for a ratio if the mean over strata of a or b is not above zero; else as `label_permutation_test`.
    Source: Schuirmann 1987 (TOST), with permutation in the place of Student's t.
    """
    if scale not in EQUIVALENCE_SCALES:
        raise UnknownNameError.of("equivalence scale", scale, EQUIVALENCE_SCALES)
    least = 0 if scale == "difference" else 1
    if not (np.isfinite(margin) and margin > least):
        raise ConfigError(f"the margin of a {scale} should be finite and above {least}, got {margin}")
    _check_alpha(alpha)
    x, y = finite(a, "a"), finite(b, "b")
    groups = by_stratum(x, y, strata)
    if scale == "difference":
        estimate = observed_difference(groups)
        upper, lower = (x - margin, y), (x + margin, y)
        found = f"The difference is {estimate:.4g}"
        claim, opposite = f"it is less than {margin:g} either way", f"it is more than {margin:g} one way"
    else:
        top, bottom = _mean_above_zero(groups, 0, "a"), _mean_above_zero(groups, 1, "b")
        estimate = top / bottom
        upper, lower = (x, margin * y), (margin * x, y)
        found = f"The ratio is {estimate:.4g}"
        claim, opposite = f"it is within a factor of {margin:g}", f"it is beyond a factor of {margin:g}"
    below_upper, above_upper = _both(*upper, strata, studentise, n_permutations, seed)
    below_lower, above_lower = _both(*lower, strata, studentise, n_permutations, seed)
    return _result(
        claims=[below_upper, above_lower],
        opposites=[above_upper, below_lower],
        estimate=estimate,
        margin=margin,
        alpha=alpha,
        words=(found, claim, opposite),
    )


def superiority_test(
    reference: ArrayLike,
    comparison: ArrayLike,
    *,
    margin: float,
    strata: Sequence[object] | None = None,
    alpha: float = 0.05,
    studentise: bool | None = None,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> MarginResult:
    """Test that comparison is less than reference by more than a share: R = 1 - comparison/reference > margin.

    reference: (m,), comparison: (k,) values, one per trained model; strata label reference, then comparison. Tested by
    `label_permutation_test` of comparison against (1 - margin) x reference; the opposite claim, R < margin, by its
    other side. margin 0.2: at least a fifth less; 0: less; -0.25: no more than a quarter more (non-inferiority).
    Assumes that, at the margin, the labels can be exchanged: spread in proportion to the mean. It matters most with
    unequal seeds; `studentise`, and what it does for them, as in `label_permutation_test`.
    Raises ConfigError unless the margin is finite and below 1 and 0 < alpha < 0.5, DegenerateInputError if the mean
    over strata of reference is not above zero (a reduction is a share of it); else as `label_permutation_test`.
    """
    if not (np.isfinite(margin) and margin < 1):
        raise ConfigError(f"the margin of a reduction should be finite and below 1, got {margin}")
    _check_alpha(alpha)
    ref, comp = finite(reference, "reference"), finite(comparison, "comparison")
    groups = by_stratum(ref, comp, strata)
    estimate = 1 - _mean(groups, 1) / _mean_above_zero(groups, 0, "reference")
    swapped = None if strata is None else [*strata[ref.size :], *strata[: ref.size]]
    less, more = _both(comp, (1 - margin) * ref, swapped, studentise, n_permutations, seed)
    return _result(
        claims=[less],
        opposites=[more],
        estimate=estimate,
        margin=margin,
        alpha=alpha,
        words=(
            f"The reduction is {100 * estimate:.1f} %",
            f"it is more than {100 * margin:g} %",
            f"it is less than {100 * margin:g} %",
        ),
    )


def _both(
    x: Floats, y: Floats, strata: Sequence[object] | None, studentise: bool | None, n_permutations: int, seed: int
) -> tuple[PermutationResult, PermutationResult]:
    """The tests that x is less, and that it is greater, than y."""
    test = partial(
        label_permutation_test, x, y, strata=strata, studentise=studentise, n_permutations=n_permutations, seed=seed
    )
    return test(alternative="less"), test(alternative="greater")


def _result(
    claims: list[PermutationResult],
    opposites: list[PermutationResult],
    *,
    estimate: float,
    margin: float,
    alpha: float,
    words: tuple[str, str, str],
) -> MarginResult:
    """Every one of `claims` has to hold; any one of `opposites` will do, and pays for the choice (Bonferroni)."""
    one = claims[0]
    pvalue, smallest = max(c.pvalue for c in claims), max(c.smallest_pvalue for c in claims)
    opposite = min(1.0, len(opposites) * min(o.pvalue for o in opposites))
    smallest_opposite = min(1.0, len(opposites) * min(o.smallest_pvalue for o in opposites))
    verdict: MarginVerdict = "undecided"
    if pvalue <= alpha:
        verdict = "supported"
    elif opposite <= alpha:
        verdict = "rejected"
    found, claim, opposite_claim = words
    outcome = {
        "supported": f"That {claim} is supported (p = {pvalue:.3g})",
        "rejected": f"That {claim} is rejected (p = {pvalue:.3g}; that {opposite_claim}: p = {opposite:.3g})",
        "undecided": f"Whether {claim} is undecided (p = {pvalue:.3g})",
    }[verdict]
    limit = f"smallest p that this design can reach: {smallest:.2g}"
    if smallest > alpha:
        limit = f"no result could have reached {alpha:g}, the smallest possible p is {smallest:.3g}"
    return MarginResult(
        estimate=estimate,
        margin=margin,
        pvalue=pvalue,
        smallest_pvalue=smallest,
        opposite_pvalue=opposite,
        smallest_opposite_pvalue=smallest_opposite,
        exact=one.exact,
        n_permutations=one.n_permutations,
        n_units=one.n_units,
        alpha=alpha,
        verdict=verdict,
        sentence=f"{found} ({one.n_units} trained models). {outcome}; {limit}.",
        studentised=one.studentised is not None,
    )


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ConfigError(
            f"alpha should lie between 0 and 0.5, so that a claim and its opposite exclude each other; got {alpha}"
        )


def _mean(groups: Groups, side: Literal[0, 1]) -> float:
    """Mean over strata of the group means of one side."""
    return float(np.mean([group[side].mean() for group in groups]))


def _mean_above_zero(groups: Groups, side: Literal[0, 1], name: str) -> float:
    mean = _mean(groups, side)
    if mean <= 0:
        raise DegenerateInputError(f"the mean of {name} is {mean:g}: a ratio or reduction needs a mean above zero")
    return mean
