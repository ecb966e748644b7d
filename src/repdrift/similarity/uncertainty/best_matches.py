"""Finds the candidate that matches a layer best, and those that cannot be told from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdrift.core.confidence import student_quantile

Floats = NDArray[np.float64]

TIE = 1e-6
"""Similarities that differ by no more are never told apart: rounding of single precision is of this order."""


@dataclass(frozen=True)
class Jackknife:
    """Certainty of differences. freedom: degrees of freedom of Student's t. claims: how many differences are judged together (Bonferroni)."""

    freedom: float
    claims: int
    confidence: float = 0.95

    def quantile(self) -> float:
        """Student's t beyond which one of the claims lies by chance with probability (1 - confidence) / claims."""
        return student_quantile(1 - (1 - self.confidence) / max(self.claims, 1), self.freedom)

    def reach(self, without: Floats) -> Floats:
        """Half the width of the interval of each statistic. without: (P, ...), it without each part of the samples.

        Source: Efron and Stein 1981, with Student's t. NaN where it is undefined without a part.
        """
        parts = without.shape[0]
        spread = np.square(without - without.mean(axis=0)).sum(axis=0)
        return self.quantile() * np.sqrt((parts - 1) / parts * spread)


@dataclass(frozen=True)
class BestMatch:
    """The best match of one layer among candidates, which are numbered by their place.

    as_good: the candidates that are not shown to match worse, the best among them, in order. ahead: by how much the best is before the
    second best, with its interval; None with one candidate, or without an interval.
    """

    best: int
    value: float
    as_good: tuple[int, ...]
    ahead: float | None
    ahead_low: float | None
    ahead_high: float | None


def best_match(values: Floats, without: Floats | None, sure: Jackknife | None, tie: float = TIE) -> BestMatch | None:
    """Find the best match of a layer. values: (C,), its similarity with each candidate; NaN where undefined. without: (P, C).

    Without `sure` no candidate is told from another: all are as good. None if no value is defined.
    """
    known = np.flatnonzero(np.isfinite(values))
    if known.size == 0:
        return None
    best = int(known[values[known].argmax()])
    others = known[known != best]
    if others.size == 0:
        return BestMatch(best, float(values[best]), (best,), None, None, None)
    behind = values[best] - values[others]
    second = int(behind.argmin())
    if without is None or sure is None:
        as_good = tuple(int(i) for i in known)
        return BestMatch(best, float(values[best]), as_good, float(behind[second]), None, None)
    reach = sure.reach(without[:, [best]] - without[:, others])
    worse = behind - reach > tie  # False where the reach is NaN
    as_good = tuple(sorted([best, *(int(i) for i in others[~worse])]))
    ahead, about = float(behind[second]), float(reach[second])
    has_interval = math.isfinite(about)
    return BestMatch(
        best,
        float(values[best]),
        as_good,
        ahead,
        ahead - about if has_interval else None,
        ahead + about if has_interval else None,
    )


def surely_above(
    value: float, other: float, without: Floats, without_other: Floats, sure: Jackknife, tie: float = TIE
) -> bool:
    """True if `value` lies above `other` by more than the interval of their difference allows. without: (P,), each of both without a part."""
    reach = float(sure.reach((without - without_other)[:, None])[0])
    return math.isfinite(reach) and value - other - reach > tie
