"""McNemar's exact test of two models on the same items, and what takes its place where items come in groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics.grouped_mean import group_totals
from repdrift.statistics.sign_flip import sign_flip_test

_EXACT_GROUPS = 20
"""Groups with a difference up to which all sign flips are visited."""


@dataclass(frozen=True)
class PairedAnswers:
    """Two models' answers on the same items.

    lost: items that the first gets right and the second wrong. won: the other way round. pvalue: two-sided, that neither model is better.
    n_groups: groups that the test rests on, those without a difference included; None: each item stands alone. smallest_pvalue: the least
    that these numbers could give. exact: every arrangement was counted.
    """

    lost: int
    won: int
    pvalue: float
    smallest_pvalue: float
    n_groups: int | None
    exact: bool


def mcnemar_test(first: ArrayLike, second: ArrayLike, groups: Sequence[Hashable] | None = None) -> PairedAnswers:
    """Test whether two models are right equally often, on the same items.

    first, second: (n,) booleans, whether each item is answered rightly. groups: n labels of items that belong together; None, or one item in
    each: they stand alone, and the test is McNemar's, exact: of the items on which the models differ, each is as likely won as lost. Where
    groups have several items, won minus lost of a whole group is as likely as its negative: the exact test flips the signs of groups (at
    random with more than 20 groups that differ). For groups of one item it is McNemar's test itself.
    Raises ShapeError for other lengths or no items, NonFiniteError for values other than 0 and 1.
    Source: McNemar 1947, exact form; Fisher 1935, section 21, for the sign flips.
    """
    right = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    if right[0].ndim != 1 or right[0].shape != right[1].shape or right[0].size == 0:
        raise ShapeError(f"two models' answers should be (n,) each, got {right[0].shape} and {right[1].shape}")
    if not all(np.isin(values, (0.0, 1.0)).all() for values in right):
        raise NonFiniteError("an answer should be right (1) or wrong (0) on every item")
    difference = right[1] - right[0]
    lost, won = int((difference < 0).sum()), int((difference > 0).sum())
    if groups is not None and len(groups) != difference.size:
        raise ShapeError(f"groups should have one label for each of {difference.size} items, got {len(groups)}")
    if groups is None or len(set(groups)) == difference.size:
        n = lost + won
        pvalue = 1.0 if n == 0 else float(binomtest(lost, n).pvalue)
        return PairedAnswers(lost, won, pvalue, min(1.0, 2.0 ** (1 - n)), None, exact=True)
    sums, _ = group_totals(difference, groups, None)
    differing = sums[sums != 0]
    if differing.size == 0:
        return PairedAnswers(lost, won, 1.0, 1.0, sums.size, exact=True)
    found = sign_flip_test(
        differing, alternative="two-sided", n_flips=2**_EXACT_GROUPS if differing.size <= _EXACT_GROUPS else 2**16
    )
    return PairedAnswers(lost, won, found.pvalue, found.smallest_pvalue, sums.size, exact=found.exact)
