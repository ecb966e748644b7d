"""The ratio of two sums over items, such as what is left of a change over all of it, with an interval over items."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.confidence import Interval, jackknife_error, student_quantile, upper_level
from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.core.group_words import LEAST_GROUPS


@dataclass(frozen=True)
class RatioOfSums:
    """The sum of the numerators over that of the denominators.

    n_groups: groups that were left out one at a time. interval: of the ratio, if whole groups were drawn anew; None with fewer
    than 10 groups, or where one of them holds all of the denominators. largest_share: the part of the denominators' sum that one group holds.
    """

    ratio: float
    n_groups: int
    interval: Interval | None
    largest_share: float


def ratio_of_sums(
    numerators: ArrayLike,
    denominators: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
) -> RatioOfSums:
    """The ratio of sums over items, with the delete-one-group jackknife interval.

    numerators: (n,) floats; denominators: (n,) floats, 0 or more. groups: n labels; None: each item is a group of its own.
    Student's t has as many degrees of freedom as there would be groups of equal denominators with the same sum of squares, less 1.
    Simulated (items of log-normal size, 10 to 128 of them): it covers 93 to 97 % where the ratio of an item does not depend on its size, however
    unequal the sizes are (n - 1 degrees of freedom: 86 to 95 %); where large items have another ratio than small ones, 88 to 94 % for a
    spread of e^0.7 to e^1.3.
    Raises ShapeError for no items or other lengths, NonFiniteError for NaN or Inf, DegenerateInputError for a negative
    denominator or if all are 0, ConfigError unless 0 < confidence < 1.
    Source: Efron and Stein 1981; effective number of groups as in `grouped_mean`.
    """
    a, b = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if a.ndim != 1 or a.size == 0 or a.shape != b.shape:
        raise ShapeError(
            f"numerators and denominators should both be (n,) with n at least 1, got {a.shape} and {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        bad = int((~np.isfinite(a) | ~np.isfinite(b)).sum())
        raise NonFiniteError(f"{bad} of {a.size} items are NaN or Inf")
    if (b < 0).any() or not b.any():
        raise DegenerateInputError("denominators should be 0 or more, and not all 0: the ratio has no value")
    upper = upper_level(confidence)
    left, whole = _sums(a, groups), _sums(b, groups)
    ratio, n_groups, largest = float(a.sum() / b.sum()), whole.size, float(whole.max() / whole.sum())
    rest = whole.sum() - whole
    if n_groups < LEAST_GROUPS or largest >= 1 or (rest <= 0).any():
        return RatioOfSums(ratio, n_groups, None, largest)
    without_one = (left.sum() - left) / rest
    effective = float(whole.sum() ** 2 / np.square(whole).sum())
    reach = student_quantile(upper, max(effective - 1, 1.0)) * jackknife_error(without_one)
    return RatioOfSums(ratio, n_groups, Interval(ratio - reach, ratio + reach), largest)


def _sums(values: NDArray[np.float64], groups: Sequence[Hashable] | None) -> NDArray[np.float64]:
    """Sums of the values of each group, (G,), in the order in which the groups come first."""
    if groups is None:
        return values
    if len(groups) != values.size:
        raise ShapeError(f"groups should have one label for each of {values.size} items, got {len(groups)}")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(label, len(numbers)) for label in groups]
    return np.bincount(index, weights=values).astype(np.float64)
