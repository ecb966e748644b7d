"""The mean of values that come in groups, such as questions about one paragraph, with an interval over groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.confidence import Interval, jackknife_error, student_quantile, upper_level
from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.core.group_words import LEAST_GROUPS
from repdrift.core.words import percent

LEAST_DIFFERING = 6
"""The fewest groups whose sum is not 0. Were each sum as likely above 0 as below, 5 would all be above by chance in 1/32 of cases."""


@dataclass(frozen=True)
class GroupedMean:
    """The mean of all values. n_groups: groups drawn. n_differing: groups whose sum is not 0.

    interval: of the mean, if whole groups were drawn anew; None with fewer than 10 groups, or where 5 or fewer differ. freedom: degrees of
    freedom of Student's t behind it; None without it.
    """

    mean: float
    n_groups: int
    n_differing: int
    interval: Interval | None
    freedom: float | None = None

    @property
    def missing(self) -> str:
        """Says why there is no interval; "" if there is one."""
        if self.interval is not None:
            return ""
        if self.n_groups < LEAST_GROUPS:
            return f"no interval: {self.n_groups} groups or items that stand alone, and {LEAST_GROUPS} are needed"
        if self.n_differing == 0:
            share = percent(most_unseen(self.n_groups))
            return f"no interval: none of {self.n_groups} groups or items differs, and up to {share} of others may (95 % limit)"
        return f"no interval: {self.n_differing} of {self.n_groups} groups or items differ, and fewer than {LEAST_DIFFERING} show nothing"


def grouped_mean(
    values: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> GroupedMean:
    """The mean of values with the delete-one-group jackknife interval.

    values: (n,) floats. groups: n labels; None: each value is a group of its own. The mean is that of the
    values, so that a large group weighs more. weights: (n,) above 0, such as the tokens that a value is the mean over; the mean is
    weighted by them, and so are the sizes of groups; None: all alike. Student's t has as many degrees of freedom as there would be groups of
    equal size with the same sum of squared sizes, less 1. Values that are all 0 have no interval: that nothing differed here does not show that
    nothing would elsewhere, see most_unseen().
    Raises ShapeError for no values or other lengths, NonFiniteError for NaN, Inf or a weight that is not above 0, ConfigError unless
    0 < confidence < 1.
    Source: Efron and Stein 1981; effective number of groups, Carter, Schnepel and Steigerwald 2017 (for equal correlation).
    """
    sums, sizes = group_totals(values, groups, weights)
    total = float(sizes.sum())
    mean, differing = float(sums.sum() / total), int(np.count_nonzero(sums))
    level = upper_level(confidence)
    if sums.size < LEAST_GROUPS or differing < LEAST_DIFFERING:
        return GroupedMean(mean if differing else 0.0, sums.size, differing, None)
    without_one = (sums.sum() - sums) / (total - sizes)
    effective = total**2 / float(np.square(sizes).sum())
    freedom = max(effective - 1, 1.0)
    reach = student_quantile(level, freedom) * jackknife_error(without_one)
    return GroupedMean(mean, sums.size, differing, Interval(mean - reach, mean + reach), freedom)


def most_unseen(n: int, confidence: float = 0.95) -> float:
    """The upper limit of the share of cases that differ, where none of n differed: 1 - (1 - confidence)^(1/n), about 3 / n.

    Source: Hanley and Lippman-Hand 1983; it is the one-sided interval of Clopper and Pearson 1934.
    """
    return 1.0 - (1.0 - confidence) ** (1.0 / n)


def group_totals(
    values: ArrayLike, groups: Sequence[Hashable] | None, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the sums of the weighted values of each group, and of its weights: (G,) each. Raises what grouped_mean() raises for them."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ShapeError(f"values should have the shape (n,) with n at least 1, got {x.shape}")
    if not np.isfinite(x).all():
        raise NonFiniteError(f"{int((~np.isfinite(x)).sum())} of {x.size} values are NaN or Inf")
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != x.shape:
        raise ShapeError(f"weights should be one for each of {x.size} values, got {w.shape}")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise NonFiniteError(f"{int((~(np.isfinite(w) & (w > 0))).sum())} of {x.size} weights are not above 0")
    return _group_sums(x * w, w, groups)


def _group_sums(
    x: NDArray[np.float64], w: NDArray[np.float64], groups: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of the weighted values of each group, and of its weights: (G,) each."""
    if groups is None:
        return x, w
    if len(groups) != x.size:
        raise ShapeError(f"groups should have one label for each of {x.size} values, got {len(groups)}")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(label, len(numbers)) for label in groups]
    return np.bincount(index, weights=x).astype(np.float64), np.bincount(index, weights=w).astype(np.float64)
