"""How large a difference between two groups of trained models is, with an interval for three to ten values a group.

Groups of one task; not paired. The intervals of means assume values near normal (of the log ratio: near log-normal),
and let the groups differ in spread; with three values of thrice the spread against ten, a 95 % interval covers 92 to 93
%. Nothing is pooled over tasks here: `equivalence.py` and `reduction.py` do that by permutation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.statistics.arrangements import Floats, finite
from repdrift.statistics.quantiles import normal_quantile, student_quantile, upper_level

_TOO_FEW = "an interval needs at least two values in each group"
_CONSTANT = "neither group varies: an interval would have no width"


@dataclass(frozen=True)
class EffectSize:
    """An effect size and its two-sided confidence interval.

    estimate: None where the effect size itself is undefined. low, high: None where there is no interval. missing: why
    one of them is None; None where nothing is missing.
    """

    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    missing: str | None = None


def mean_difference(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> EffectSize:
    """mean(a) - mean(b), with Welch's interval.

    a: (m,), b: (k,) values, one per trained model; the estimate has their unit. No interval if a group has one value or
    neither varies. Raises NonFiniteError for NaN or Inf, ShapeError for an empty group, ConfigError unless
    0 < confidence < 1. Source: Welch 1947; degrees of freedom of Satterthwaite 1946.
    """
    upper = upper_level(confidence)
    return _welch(finite(a, "a"), finite(b, "b"), upper, confidence)


def log_ratio(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> EffectSize:
    """mean(log a) - mean(log b), natural logarithm, with Welch's interval: the log ratio of the geometric means.

    a: (m,), b: (k,) values above zero, one per trained model; dimensionless, -log 2 = a is half of b. Undefined if any
    value is not above zero; no interval, and raises, as `mean_difference`.
    """
    upper = upper_level(confidence)
    groups = {"a": finite(a, "a"), "b": finite(b, "b")}
    for name, values in groups.items():
        if (values <= 0).any():
            place = int(np.flatnonzero(values <= 0)[0])
            return EffectSize(
                None,
                None,
                None,
                confidence,
                f"{name}[{place}] is {values[place]:g}: a logarithm needs values above zero",
            )
    return _welch(np.log(groups["a"]), np.log(groups["b"]), upper, confidence)


def mean_ratio(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> EffectSize:
    """mean(a) / mean(b), with Fieller's interval.

    a: (m,), b: (k,) values, one per trained model; dimensionless. Undefined unless mean(b) > 0. No interval if a group
    has one value, if neither varies, or if mean(b) is not above zero at this confidence: every ratio, however large,
    would then be inside. Raises as `mean_difference`.
    Source: Fieller 1954, for independent groups. Departure: variances may differ; Student's t has the degrees of
    freedom of Welch's test of mean(a) = estimate x mean(b).
    """
    upper = upper_level(confidence)
    return _fieller(finite(a, "a"), finite(b, "b"), ("mean(a)", "mean(b)"), upper, confidence)


def mean_reduction(reference: ArrayLike, comparison: ArrayLike, *, confidence: float = 0.95) -> EffectSize:
    """1 - mean(comparison) / mean(reference), with Fieller's interval: 0.2 = a fifth less, negative = more.

    reference: (m,), comparison: (k,) values, one per trained model. Undefined unless mean(reference) > 0; no interval,
    source and departure as `mean_ratio`. Raises as `mean_difference`.
    """
    upper = upper_level(confidence)
    groups = finite(comparison, "comparison"), finite(reference, "reference")
    ratio = _fieller(*groups, ("mean(comparison)", "mean(reference)"), upper, confidence)
    if ratio.estimate is None or ratio.low is None or ratio.high is None:
        estimate = None if ratio.estimate is None else 1 - ratio.estimate
        return EffectSize(estimate, None, None, confidence, ratio.missing)
    return EffectSize(1 - ratio.estimate, 1 - ratio.high, 1 - ratio.low, confidence)


def cliffs_delta(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> EffectSize:
    """P(a > b) - P(a < b) over all pairs, with Cliff's asymmetric interval from the consistent variance.

    a: (m,), b: (k,) values, one per trained model; -1 = every a below every b, 0 = neither tends to be less, 1 = every
    a above. Assumes no shape and no equal spread. Where the groups do not overlap the variance is estimated as zero;
    the end is then Wilson's limit of a share of 1 in min(m, k) trials: -1 with three against three reaches up to 0.12.
    No interval if a group has one value or all values are equal. Raises as `mean_difference`.
    Wider than it says for three to five values a group; narrower where the smaller group is much the more variable.
    Source: Cliff 1993; Feng and Cliff 2004 for the asymmetric interval and for groups apart.
    """
    upper = upper_level(confidence)
    x, y = finite(a, "a"), finite(b, "b")
    above = np.sign(x[:, None] - y)
    m, k = above.shape
    delta = float(above.mean())
    if min(m, k) < 2:
        return EffectSize(delta, None, None, confidence, _TOO_FEW)
    z = normal_quantile(upper)
    if abs(delta) == 1:
        nearest = (min(m, k) - z**2) / (min(m, k) + z**2)
        low, high = (nearest, 1.0) if delta > 0 else (-1.0, -nearest)
        return EffectSize(delta, low, high, confidence)
    rows, columns = above.mean(axis=1).var(ddof=1), above.mean(axis=0).var(ddof=1)
    cells = np.square(above - delta).sum() / ((m - 1) * (k - 1))
    spread = z**2 * float((k - 1) * rows + (m - 1) * columns + cells) / (m * k)
    if spread == 0:
        return EffectSize(delta, None, None, confidence, "all values are equal: an interval would have no width")
    room = 1 - delta**2
    reach = math.sqrt(spread * (room**2 + spread))
    low, high = ((delta * room + side * reach) / (room + spread) for side in (-1, 1))
    return EffectSize(delta, low, high, confidence)


def _welch(a: Floats, b: Floats, upper: float, confidence: float) -> EffectSize:
    difference = float(a.mean() - b.mean())
    missing = _without_interval(a, b)
    if missing is not None:
        return EffectSize(difference, None, None, confidence, missing)
    of_a, of_b = _error_squared(a), _error_squared(b)
    reach = _quantile(of_a, a.size, of_b, b.size, upper) * math.sqrt(of_a + of_b)
    return EffectSize(difference, difference - reach, difference + reach, confidence)


def _fieller(a: Floats, b: Floats, names: tuple[str, str], upper: float, confidence: float) -> EffectSize:
    top, bottom = float(a.mean()), float(b.mean())
    if bottom <= 0:
        reason = f"{names[1]} is {bottom:g}: {names[0]} is no share of what is not above zero"
        return EffectSize(None, None, None, confidence, reason)
    ratio = top / bottom
    missing = _without_interval(a, b)
    if missing is not None:
        return EffectSize(ratio, None, None, confidence, missing)
    # In units of mean(b), so that squares of small drifts keep their digits.
    of_a, of_b = _error_squared(a / bottom), _error_squared(b / bottom)
    t2 = _quantile(of_a, a.size, ratio**2 * of_b, b.size, upper) ** 2
    # The ratios r with (ratio - r)^2 <= t^2 (of_a + r^2 of_b) lie between two roots only while r^2 keeps its sign.
    if t2 * of_b >= 1:
        reason = f"{names[1]} is not above zero at a confidence of {confidence:g}: no ratio can be excluded"
        return EffectSize(ratio, None, None, confidence, reason)
    reach = math.sqrt(t2 * (of_a * (1 - t2 * of_b) + ratio**2 * of_b))
    low, high = ((ratio + side * reach) / (1 - t2 * of_b) for side in (-1, 1))
    return EffectSize(ratio, low, high, confidence)


def _without_interval(a: Floats, b: Floats) -> str | None:
    if min(a.size, b.size) < 2:
        return _TOO_FEW
    return _CONSTANT if np.ptp(a) == 0 and np.ptp(b) == 0 else None


def _error_squared(values: Floats) -> float:
    """Squared standard error of the mean."""
    return float(values.var(ddof=1)) / values.size


def _quantile(of_a: float, m: int, of_b: float, k: int, upper: float) -> float:
    """Student's t with Satterthwaite's degrees of freedom, for two squared errors of means of m and k values."""
    share = of_a / (of_a + of_b)
    return student_quantile(upper, 1 / (share**2 / (m - 1) + (1 - share) ** 2 / (k - 1)))
