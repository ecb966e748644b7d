"""Confidence intervals of many statistics at once: from bootstrap replicates, or from leaving one sample out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.arrangements import Floats
from repdrift.statistics.quantiles import (
    normal_levels,
    normal_quantile,
    normal_quantiles,
    student_quantile,
    upper_level,
)

BootstrapMethod = Literal["percentile", "bca"]
BOOTSTRAP_METHODS: tuple[BootstrapMethod, ...] = ("percentile", "bca")
REPLICATES_PER_TAIL = 10
"""Replicates beyond each end of an interval, at least: fewer, and the end is known from a handful of draws."""


@dataclass(frozen=True)
class IntervalBounds:
    """Two-sided confidence intervals, one for each statistic.

    low, high: (...) as the estimates, in their units. confidence: of each interval by itself, not of all at once.
    """

    low: Floats
    high: Floats
    confidence: float


def bootstrap_interval(
    replicates: ArrayLike,
    estimate: ArrayLike,
    *,
    confidence: float = 0.95,
    method: BootstrapMethod = "percentile",
    leave_one_out: ArrayLike | None = None,
) -> IntervalBounds:
    """Bootstrap intervals of statistics whose replicates are at hand.

    replicates: (..., B), the statistic in each of B resamples; estimate: (...), of the samples themselves.
    `percentile`: quantiles of the replicates, interpolated linearly. `bca`: quantiles moved for bias and acceleration;
    the bias is the share of replicates below the estimate, ties counting half; the acceleration comes from
    leave_one_out: (..., n), the statistic without each of the n samples (one list of samples, not two groups of them).

    Resamples of evaluation samples give intervals that are conditional on the trained models. Differences and ratios of
    methods are paired by taking them within each resample, from replicates on one shared set of resamples:

        full, lora = replicates  # (2, B): column b of both is resample b
        bootstrap_interval(1 - lora / full, 1 - estimate[1] / estimate[0])

    Raises NonFiniteError for NaN or Inf, with their count: a resample without a value is left out by the caller, by
    name and for all methods. ConfigError unless 0 < confidence < 1, if there are fewer than 10 replicates for each tail
    (400 for 0.95), if leave_one_out lacks for `bca` or is given for `percentile`, or where the moved quantile lies
    beyond the outermost replicate; ShapeError where shapes differ; DegenerateInputError where `bca` is undefined: every
    replicate on one side of the estimate, a constant leave_one_out, or an acceleration that turns the order of
    quantiles round.
    Source: Efron 1987; Efron and Tibshirani 1993, eq. 14.9 to 14.15.
    """
    upper = upper_level(confidence)
    if method not in BOOTSTRAP_METHODS:
        raise UnknownNameError.of("bootstrap method", method, BOOTSTRAP_METHODS)
    values, centre = _finite(replicates, "replicates"), _finite(estimate, "estimate")
    _check_fit(values, centre, "replicates")
    needed = math.ceil(REPLICATES_PER_TAIL / (1 - upper) - 1e-6)  # rounding of 1 - 0.975 must not ask for 401
    if values.shape[-1] < needed:
        raise ConfigError(
            f"a confidence of {confidence:g} needs at least {needed} replicates, {REPLICATES_PER_TAIL} for each tail; "
            f"got {values.shape[-1]}"
        )
    if method == "percentile":
        if leave_one_out is not None:
            raise ConfigError("leave_one_out has no part in the percentile method: leave it out, or choose 'bca'")
        levels = np.broadcast_to(1 - upper, centre.shape), np.broadcast_to(upper, centre.shape)
    else:
        if leave_one_out is None:
            raise ConfigError("method 'bca' needs leave_one_out, the statistic without each sample: (..., n)")
        without = _finite(leave_one_out, "leave_one_out")
        _check_fit(without, centre, "leave_one_out")
        levels = _moved_levels(values, centre, without, upper)
    ordered = np.sort(values, axis=-1)
    return IntervalBounds(_quantile(ordered, levels[0]), _quantile(ordered, levels[1]), confidence)


def jackknife_interval(leave_one_out: ArrayLike, estimate: ArrayLike, *, confidence: float = 0.95) -> IntervalBounds:
    """Delete-one jackknife intervals: estimate +- Student's t (n - 1 degrees of freedom) x the jackknife's error.

    leave_one_out: (..., n), the statistic without each of the n samples; estimate: (...), of all of them. Symmetric:
    for a statistic whose errors are not, give both on a scale where they are (log drift) and transform the ends. Not
    for statistics that jump, such as medians. A constant leave_one_out gives an interval without width.
    Raises ShapeError where shapes differ or n < 2, NonFiniteError for NaN or Inf, ConfigError unless
    0 < confidence < 1. Source: Efron and Stein 1981. Departure: Student's t in the place of the normal quantile.
    """
    upper = upper_level(confidence)
    without, centre = _finite(leave_one_out, "leave_one_out"), _finite(estimate, "estimate")
    _check_fit(without, centre, "leave_one_out")
    n = without.shape[-1]
    deviations = without - without.mean(axis=-1, keepdims=True)
    error = np.sqrt((n - 1) / n * np.square(deviations).sum(axis=-1))
    reach = student_quantile(upper, n - 1) * error
    return IntervalBounds(np.asarray(centre - reach), np.asarray(centre + reach), confidence)


def _moved_levels(replicates: Floats, estimate: Floats, leave_one_out: Floats, upper: float) -> tuple[Floats, Floats]:
    centre = estimate[..., None]
    share = ((replicates < centre) + 0.5 * (replicates == centre)).mean(axis=-1)
    _refuse_where((share == 0) | (share == 1), "all replicates lie on one side of the estimate: its bias is unbounded")
    _refuse_where(np.ptp(leave_one_out, axis=-1) == 0, "leave_one_out is constant: the acceleration is undefined")
    deviations = leave_one_out.mean(axis=-1, keepdims=True) - leave_one_out
    deviations = deviations / np.abs(deviations).max(axis=-1, keepdims=True)  # cubes of small drifts would underflow
    acceleration = (deviations**3).sum(axis=-1) / (6 * np.square(deviations).sum(axis=-1) ** 1.5)
    bias = normal_quantiles(share)
    moved = [bias + normal_quantile(level) for level in (1 - upper, upper)]
    scales = [1 - acceleration * m for m in moved]
    _refuse_where((scales[0] <= 0) | (scales[1] <= 0), "bias and acceleration are too large for the interval to exist")
    low, high = (normal_levels(bias + m / s) for m, s in zip(moved, scales, strict=True))
    tails = np.minimum(low, 1 - high)
    least = float(tails.min())
    if least * replicates.shape[-1] < 1:
        raise ConfigError(
            f"the BCa interval{_place(tails == least)} ends beyond the outermost of {replicates.shape[-1]} replicates, "
            f"at a share of {least:.2g}: draw at least {math.ceil(1 / least) if least > 0 else 'many more'} "
            "or take the percentile method"
        )
    return low, high


def _quantile(ordered: Floats, levels: NDArray[np.float64]) -> Floats:
    """Each row's own quantile: ordered (..., B) ascending, levels (...). Linear, as numpy's default."""
    position = levels * (ordered.shape[-1] - 1)
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, ordered.shape[-1] - 1)
    at_below = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
    at_above = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
    return np.asarray(at_below + (position - below) * (at_above - at_below))


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ShapeError(f"{name} should hold at least one value, got shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise NonFiniteError(
            f"{name} should be finite: {int(bad.sum())} of {array.size} are NaN or Inf, the first{_place(bad)}; "
            "what has no value must be left out by the caller, by name"
        )
    return array


def _check_fit(values: Floats, estimate: Floats, name: str) -> None:
    if values.ndim == 0 or values.shape[:-1] != estimate.shape or values.shape[-1] < 2:
        raise ShapeError(
            f"{name} should have the shape of the estimate, {estimate.shape}, and a last axis of at least two; "
            f"got {values.shape}"
        )


def _refuse_where(bad: NDArray[np.bool_], reason: str) -> None:
    if bad.any():
        raise DegenerateInputError(f"BCa has no interval{_place(bad)}: {reason}; take the percentile method there")


def _place(where: NDArray[np.bool_]) -> str:
    index = [int(i) for i in np.argwhere(where)[0]]
    return f" at {index}" if index else ""
