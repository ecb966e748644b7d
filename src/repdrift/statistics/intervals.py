"""Confidence intervals of a statistic, from bootstrap replicates or from leaving one sample out."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import Interval, jackknife_reach, upper_level
from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.arrangements import Floats

BootstrapMethod = Literal["percentile", "bca"]
BOOTSTRAP_METHODS: tuple[BootstrapMethod, ...] = ("percentile", "bca")
REPLICATES_PER_TAIL = 10
"""Fewest replicates beyond each end of an interval. With fewer, the end is known from a handful of draws."""


def normal_quantile(level: float) -> float:
    """The quantile of the standard normal distribution at a level in (0, 1)."""
    return float(ndtri(level))


def bootstrap_interval(
    replicates: ArrayLike,
    estimate: float,
    *,
    confidence: float = 0.95,
    method: BootstrapMethod = "percentile",
    leave_one_out: ArrayLike | None = None,
) -> Interval:
    """A bootstrap interval of a statistic whose replicates are at hand.

    replicates: (B,), the statistic in each of B resamples. estimate: the statistic of the samples themselves.
    `percentile` takes quantiles of the replicates, interpolated linearly. `bca` moves their levels for bias and
    acceleration: the bias is the share of replicates below the estimate, where ties count half; the acceleration comes
    from leave_one_out, (n,), the statistic without each of the n samples (one list of samples, not two groups of them).

    Resamples of evaluation samples give intervals that are conditional on the trained models. Differences and ratios of
    methods are paired by taking them within each resample, from replicates on one shared set of resamples:

        full, lora = replicates  # (2, B): column b of both is resample b
        bootstrap_interval(1 - lora / full, 1 - estimate[1] / estimate[0])

    Raises NonFiniteError for NaN or Inf, with their count: the caller leaves out a resample without a value, by name and
    for all methods. ConfigError unless 0 < confidence < 1, if there are fewer than 10 replicates for each tail (400 for
    0.95), if leave_one_out is missing for `bca` or given for `percentile`, or if a moved level lies beyond the outermost
    replicate; ShapeError for other shapes; DegenerateInputError where `bca` is undefined: every replicate lies on one
    side of the estimate, leave_one_out is constant, or the acceleration reverses the order of quantiles.
    Source: Efron 1987; Efron and Tibshirani 1993, eq. 14.9 to 14.15.
    """
    upper = upper_level(confidence)
    if method not in BOOTSTRAP_METHODS:
        raise UnknownNameError.of("bootstrap method", method, BOOTSTRAP_METHODS)
    values, centre = _finite(replicates, "replicates"), _finite_number(estimate)
    needed = least_replicates(1 - upper)
    if values.size < needed:
        raise ConfigError(
            f"a confidence of {confidence:g} needs at least {needed} replicates, {REPLICATES_PER_TAIL} for each tail; "
            f"got {values.size}"
        )
    if method == "percentile":
        if leave_one_out is not None:
            raise ConfigError("leave_one_out has no part in the percentile method: leave it out, or choose 'bca'")
        levels = (1 - upper, upper)
    else:
        if leave_one_out is None:
            raise ConfigError("method 'bca' needs leave_one_out, the statistic without each sample: (n,)")
        levels = _bca_levels(values, centre, _finite(leave_one_out, "leave_one_out"), upper)
    low, high = (float(end) for end in np.quantile(values, levels))
    return Interval(low, high)


def least_replicates(tail: float) -> int:
    """The fewest replicates that leave REPLICATES_PER_TAIL of them in a tail with this share."""
    return math.ceil(REPLICATES_PER_TAIL / tail - 1e-6)  # rounding of 1 - 0.975 must not ask for 401


def jackknife_interval(
    leave_one_out: ArrayLike, estimate: float, *, confidence: float = 0.95, freedom: float | None = None
) -> Interval:
    """A delete-one jackknife interval: estimate +- Student's t (n - 1 degrees of freedom) x the jackknife's error.

    leave_one_out: (n,), the statistic without each of the n samples. estimate: the statistic of all of them. The
    interval is symmetric: for a statistic whose errors are not, give both on a scale where they are (log drift) and
    transform the ends. Not for statistics that jump, such as medians. If leave_one_out is constant, the interval has no
    width. freedom: degrees of freedom, where they are not n - 1 because parts of unequal size were left out.
    Raises ShapeError if n < 2, NonFiniteError for NaN or Inf, ConfigError unless 0 < confidence < 1.
    Source: Efron and Stein 1981. Departure: Student's t in the place of the normal quantile.
    """
    upper_level(confidence)  # a wrong confidence is named before wrong values
    without, centre = _finite(leave_one_out, "leave_one_out"), _finite_number(estimate)
    reach = jackknife_reach(without, confidence, freedom)
    return Interval(centre - reach, centre + reach)


def _bca_levels(replicates: Floats, estimate: float, leave_one_out: Floats, upper: float) -> tuple[float, float]:
    """The levels whose quantiles are the ends of the BCa interval."""
    share = float(((replicates < estimate) + 0.5 * (replicates == estimate)).mean())
    if share in {0.0, 1.0}:
        raise _no_bca("all replicates lie on one side of the estimate: its bias is unbounded")
    if np.ptp(leave_one_out) == 0:
        raise _no_bca("leave_one_out is constant: the acceleration is undefined")
    deviations = leave_one_out.mean() - leave_one_out
    deviations = deviations / np.abs(deviations).max()  # cubes of small drifts would underflow
    acceleration = float((deviations**3).sum() / (6 * np.square(deviations).sum() ** 1.5))
    bias = normal_quantile(share)
    moved = [bias + normal_quantile(level) for level in (1 - upper, upper)]
    scales = [1 - acceleration * m for m in moved]
    if min(scales) <= 0:
        raise _no_bca("bias and acceleration are too large for the interval to exist")
    low, high = (float(ndtr(bias + m / s)) for m, s in zip(moved, scales, strict=True))
    least = min(low, 1 - high)
    if least * replicates.size < 1:
        raise ConfigError(
            f"the BCa interval ends beyond the outermost of {replicates.size} replicates, at a share of {least:.2g}: draw "
            f"at least {math.ceil(1 / least) if least > 0 else 'many more'} or take the percentile method"
        )
    return low, high


def _no_bca(reason: str) -> DegenerateInputError:
    return DegenerateInputError(f"BCa has no interval: {reason}; take the percentile method")


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size < 2:
        raise ShapeError(f"{name} should be a list of at least two values, got shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise NonFiniteError(
            f"{name} should be finite: {bad.size} of {array.size} are NaN or Inf, the first at [{bad[0]}]; "
            "what has no value must be left out by the caller, by name"
        )
    return array


def _finite_number(estimate: float) -> float:
    if np.ndim(estimate):
        raise ShapeError(f"estimate should be one number, got shape {np.shape(estimate)}")
    if not math.isfinite(estimate):
        raise NonFiniteError(f"estimate should be one finite number, got {estimate}")
    return float(estimate)
