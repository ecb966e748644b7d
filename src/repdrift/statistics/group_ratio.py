"""Shares of a group of samples beside those of all others: a ratio of means, with the interval of the jackknife over samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import Interval, jackknife_error, student_quantile, upper_level
from repdrift.core.errors import ShapeError

LEAST_MEMBERS = 5
"""Fewest samples inside a group, and outside it, that are compared."""


@dataclass(frozen=True)
class GroupRatio:
    """The mean share of a group by the mean share of all others.

    ratio: 1 where both are alike; None without shares above 0 on both sides. interval, pvalue: of the ratio, on the log scale; p is
    two-sided, of the ratio being 1. logs: (P,), log ratios without each part of the samples; None with the interval. freedom: degrees of freedom of
    Student's t. missing: the reason, as a clause, why there is no interval; "" if there is one.
    """

    ratio: float | None
    interval: Interval | None = None
    pvalue: float | None = None
    logs: NDArray[np.float64] | None = None
    freedom: float = 1.0
    missing: str = ""


def group_ratio(
    shares: ArrayLike,
    member: ArrayLike,
    without: ArrayLike | None = None,
    *,
    freedom: float | None = None,
    confidence: float = 0.95,
) -> GroupRatio:
    """The ratio of two means, with its interval over samples.

    shares: (n,), 0 or more. member: (n,) booleans, the group. without: (P, n), the same shares with each of P parts of the samples left out, NaN for
    what is left out; None: no interval is wanted. freedom: degrees of freedom of the parts, P - 1 if not given; those of Student's t are no more
    than the smaller side has samples, less 1.
    Raises ShapeError for other shapes, ConfigError unless 0 < confidence < 1.
    Source: delete-a-group jackknife, Shao and Wu 1989.
    """
    level = upper_level(confidence)
    values, inside = np.asarray(shares, dtype=np.float64), np.asarray(member, dtype=bool)
    if values.ndim != 1 or inside.shape != values.shape:
        raise ShapeError(f"shares and members should be two lists of one length, got {values.shape} and {inside.shape}")
    fewer = int(min(inside.sum(), (~inside).sum()))
    if fewer == 0:
        return GroupRatio(None, missing="all samples, or none, are in the group")
    means = float(values[inside].mean()), float(values[~inside].mean())
    if min(means) <= 0:
        return GroupRatio(None, missing="the samples of one side did not move at all")
    ratio = means[0] / means[1]
    if without is None:
        return GroupRatio(ratio)
    left = np.asarray(without, dtype=np.float64)
    if left.ndim != 2 or left.shape[1] != values.size:
        raise ShapeError(f"shares without parts should have the shape (parts, {values.size}), got {left.shape}")
    logs = _log_ratios(left, inside)
    error = 0.0 if isinstance(logs, str) else jackknife_error(logs)
    if isinstance(logs, str) or error <= 0:
        return GroupRatio(ratio, missing=logs if isinstance(logs, str) else "it is the same without any of the samples")
    t_freedom = max(1.0, min(left.shape[0] - 1 if freedom is None else freedom, fewer - 1))
    centre = float(np.log(ratio))
    reach = student_quantile(level, t_freedom) * error
    interval = Interval(float(np.exp(centre - reach)), float(np.exp(centre + reach)))
    return GroupRatio(ratio, interval, float(2 * stdtr(t_freedom, -abs(centre) / error)), logs, t_freedom)


def _log_ratios(left: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64] | str:
    """The log ratios without each part, (P,), or the reason why there are none. left: (P, n), NaN for what is left out."""
    fewer = int(min(inside.sum(), (~inside).sum()))
    if fewer < LEAST_MEMBERS:
        return f"one side has {fewer} samples, and {LEAST_MEMBERS} are needed"
    there = np.isfinite(left)
    if not (there[:, inside].any(axis=1).all() and there[:, ~inside].any(axis=1).all()):
        return "all samples of one side belong together, and would be left out at once"
    sides = [np.nanmean(left[:, side], axis=1) for side in (inside, ~inside)]
    if min(float(side.min()) for side in sides) <= 0:
        return "without some samples one side did not move at all"
    return np.log(sides[0] / sides[1])
