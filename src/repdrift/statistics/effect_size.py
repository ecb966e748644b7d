"""How large a difference between two groups of trained models is, with an interval for three to ten values a group.

Not paired. With strata (tasks), an estimate is from means over strata of group means, so that a task with more seeds
does not count for more; errors of the cells, strata by group, are independent and their squares add. The intervals of
means assume values near normal (of the log ratio: near log-normal), and let all cells differ in spread; with three
values of thrice the spread against ten, a 95 % interval covers 92 to 93 %. They speak of these tasks, not of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import UnknownNameError
from repdrift.statistics.arrangements import Floats, Groups, by_stratum, finite
from repdrift.statistics.quantiles import normal_quantile, student_quantile, upper_level

_TOO_FEW = "an interval needs at least two values in each group"
_TOO_FEW_IN_STRATA = "an interval needs at least two values of each group in every stratum"
_CONSTANT = "neither group varies: an interval would have no width"


RatioScale = Literal["fieller", "log"]
RATIO_SCALES: tuple[RatioScale, ...] = ("fieller", "log")


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


def mean_difference(
    a: ArrayLike, b: ArrayLike, *, strata: Sequence[object] | None = None, confidence: float = 0.95
) -> EffectSize:
    """Mean over strata of mean(a) - mean(b), with Welch's interval.

    a: (m,), b: (k,) values, one per trained model; the estimate has their unit. strata: a label for each value of a,
    then of b, such as its task; None: one stratum. No interval if a group has one value in a stratum or nothing varies.
    Raises NonFiniteError for NaN or Inf, ShapeError for an empty group or a stratum that lacks one, ConfigError unless
    0 < confidence < 1. Source: Welch 1947; degrees of freedom of Satterthwaite 1946, over all cells.
    """
    upper = upper_level(confidence)
    return _welch(by_stratum(finite(a, "a"), finite(b, "b"), strata), upper, confidence)


def log_ratio(
    a: ArrayLike, b: ArrayLike, *, strata: Sequence[object] | None = None, confidence: float = 0.95
) -> EffectSize:
    """Mean over strata of mean(log a) - mean(log b), natural logarithm, with Welch's interval.

    The log ratio of geometric means; over strata, the log of the geometric mean of their ratios, so that a task with
    more drift does not count for more, as it does in `mean_ratio`. a: (m,), b: (k,) values above zero, one per trained
    model; dimensionless, -log 2 = a is half of b. Undefined if any value is not above zero; strata, no interval, and
    raises, as `mean_difference`.
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
    return _welch(by_stratum(np.log(groups["a"]), np.log(groups["b"]), strata), upper, confidence)


def mean_ratio(
    a: ArrayLike, b: ArrayLike, *, strata: Sequence[object] | None = None, confidence: float = 0.95
) -> EffectSize:
    """mean(a) / mean(b), each a mean over strata of means within them, with Fieller's interval.

    a: (m,), b: (k,) values, one per trained model; dimensionless; strata as in `mean_difference`. Undefined unless
    mean(b) > 0. No interval if a group has one value in a stratum, if nothing varies, or if mean(b) is not above zero
    at this confidence: every ratio, however large, would then be inside. Raises as `mean_difference`.
    Source: Fieller 1954, for independent groups. Departure: variances may differ; Student's t has the degrees of
    freedom of Welch's test of mean(a) = estimate x mean(b).
    """
    upper = upper_level(confidence)
    groups = by_stratum(finite(a, "a"), finite(b, "b"), strata)
    return _fieller(groups, ("mean(a)", "mean(b)"), upper, confidence)


def mean_reduction(
    reference: ArrayLike,
    comparison: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    scale: RatioScale = "fieller",
    confidence: float = 0.95,
) -> EffectSize:
    """1 - mean(comparison) / mean(reference), with an interval: 0.2 = a fifth less, negative = more.

    reference: (m,), comparison: (k,) values, one per trained model; strata label reference, then comparison. Undefined
    unless mean(reference) > 0. `fieller`: strata, no interval, source and departure as `mean_ratio`. `log`: the log of
    the ratio +- Student's t x its error by the delta method, degrees of freedom by Satterthwaite, transformed; none
    unless both means are above zero. It is given more often than Fieller's, and keeps its coverage where one method
    spreads thrice as much as the other (92 to 97 %; Fieller's, where it is given, from 83 % on, with 3 to 10 models of
    a method, 1 and 4 strata). Raises UnknownNameError for another scale; else as `mean_difference`.
    """
    if scale not in RATIO_SCALES:
        raise UnknownNameError.of("scale of a ratio", scale, RATIO_SCALES)
    upper = upper_level(confidence)
    groups = by_stratum(finite(reference, "reference"), finite(comparison, "comparison"), strata)
    swapped = [(comp, ref) for ref, comp in groups]
    names = ("mean(comparison)", "mean(reference)")
    of_ratio = _fieller if scale == "fieller" else _on_log_scale
    ratio = of_ratio(swapped, names, upper, confidence)
    if ratio.estimate is None or ratio.low is None or ratio.high is None:
        estimate = None if ratio.estimate is None else 1 - ratio.estimate
        return EffectSize(estimate, None, None, confidence, ratio.missing)
    return EffectSize(1 - ratio.estimate, 1 - ratio.high, 1 - ratio.low, confidence)


def cliffs_delta(
    a: ArrayLike, b: ArrayLike, *, strata: Sequence[object] | None = None, confidence: float = 0.95
) -> EffectSize:
    """P(a > b) - P(a < b) over all pairs, with Cliff's asymmetric interval from the consistent variance.

    a: (m,), b: (k,) values, one per trained model; -1 = every a below every b, 0 = neither tends to be less, 1 = every
    a above; strata as in `mean_difference`: pairs within strata, mean over them. Assumes no shape and no equal spread.
    Where the groups do not overlap the variance is estimated as zero; the end is then Wilson's limit of a share of 1 in
    min(m, k) trials: -1 with three against three reaches up to 0.12. Over strata, distances from the estimates to the
    ends are put together as roots of sums of squares, each side by itself, which keeps what overlap says nothing about.
    No interval if a group has one value in a stratum or all values of one are equal. Raises as `mean_difference`.
    Wider than it says for three to five values a group; narrower where the smaller group is much the more variable.
    Source: Cliff 1993; Feng and Cliff 2004 for the asymmetric interval and for groups apart; Zou and Donner 2008 over
    strata.
    """
    upper = upper_level(confidence)
    groups = by_stratum(finite(a, "a"), finite(b, "b"), strata)
    deltas = [float(np.sign(x[:, None] - y).mean()) for x, y in groups]
    delta = float(np.mean(deltas))
    if (missing := _too_few(groups)) is not None:
        return EffectSize(delta, None, None, confidence, missing)
    ends = [_cliffs_ends(np.sign(x[:, None] - y), normal_quantile(upper)) for x, y in groups]
    if any(end is None for end in ends):
        return EffectSize(delta, None, None, confidence, "all values are equal: an interval would have no width")
    if len(groups) == 1:
        low, high = ends[0] or (-1.0, 1.0)
        return EffectSize(delta, low, high, confidence)
    below, above = (
        math.sqrt(sum((d - end[side]) ** 2 for d, end in zip(deltas, ends, strict=True) if end is not None))
        / len(groups)
        for side in (0, 1)
    )
    return EffectSize(delta, delta - below, delta + above, confidence)


def _cliffs_ends(above: Floats, z: float) -> tuple[float, float] | None:
    """Ends of one stratum, of the signs (m, k) of all its pairs; None if all values are equal."""
    m, k = above.shape
    delta = float(above.mean())
    if abs(delta) == 1:
        nearest = (min(m, k) - z**2) / (min(m, k) + z**2)
        return (nearest, 1.0) if delta > 0 else (-1.0, -nearest)
    rows, columns = above.mean(axis=1).var(ddof=1), above.mean(axis=0).var(ddof=1)
    cells = np.square(above - delta).sum() / ((m - 1) * (k - 1))
    spread = z**2 * float((k - 1) * rows + (m - 1) * columns + cells) / (m * k)
    if spread == 0:
        return None
    room = 1 - delta**2
    reach = math.sqrt(spread * (room**2 + spread))
    return (delta * room - reach) / (room + spread), (delta * room + reach) / (room + spread)


def _welch(groups: Groups, upper: float, confidence: float) -> EffectSize:
    difference = float(np.mean([x.mean() - y.mean() for x, y in groups]))
    missing = _without_interval(groups)
    if missing is not None:
        return EffectSize(difference, None, None, confidence, missing)
    cells = [(_error_squared(values) / len(groups) ** 2, values.size) for group in groups for values in group]
    reach = _quantile(cells, upper) * math.sqrt(sum(error for error, _ in cells))
    return EffectSize(difference, difference - reach, difference + reach, confidence)


def _fieller(groups: Groups, names: tuple[str, str], upper: float, confidence: float) -> EffectSize:
    top, bottom = (float(np.mean([group[side].mean() for group in groups])) for side in (0, 1))
    if bottom <= 0:
        reason = f"{names[1]} is {bottom:g}: {names[0]} is no share of what is not above zero"
        return EffectSize(None, None, None, confidence, reason)
    ratio = top / bottom
    missing = _without_interval(groups)
    if missing is not None:
        return EffectSize(ratio, None, None, confidence, missing)
    # In units of mean(b), so that squares of small drifts keep their digits.
    of_a, of_b = (
        [(_error_squared(group[side] / bottom) / len(groups) ** 2, group[side].size) for group in groups]
        for side in (0, 1)
    )
    cells = [*of_a, *((ratio**2 * error, n) for error, n in of_b)]
    if sum(error for error, _ in cells) == 0:  # what varies is the group that a ratio of 0 takes no share of
        reason = f"{names[0]} is 0 without variation: an interval would have no width"
        return EffectSize(ratio, None, None, confidence, reason)
    t2 = _quantile(cells, upper) ** 2
    a2, b2 = sum(error for error, _ in of_a), sum(error for error, _ in of_b)
    # The ratios r with (ratio - r)^2 <= t^2 (a2 + r^2 b2) lie between two roots only while r^2 keeps its sign.
    if t2 * b2 >= 1:
        reason = f"{names[1]} is not above zero at a confidence of {confidence:g}: no ratio can be excluded"
        return EffectSize(ratio, None, None, confidence, reason)
    reach = math.sqrt(t2 * (a2 * (1 - t2 * b2) + ratio**2 * b2))
    low, high = ((ratio + side * reach) / (1 - t2 * b2) for side in (-1, 1))
    return EffectSize(ratio, low, high, confidence)


def _on_log_scale(groups: Groups, names: tuple[str, str], upper: float, confidence: float) -> EffectSize:
    top, bottom = (float(np.mean([group[side].mean() for group in groups])) for side in (0, 1))
    if bottom <= 0:
        reason = f"{names[1]} is {bottom:g}: {names[0]} is no share of what is not above zero"
        return EffectSize(None, None, None, confidence, reason)
    ratio = top / bottom
    missing = _without_interval(groups)
    if missing is None and top <= 0:
        missing = f"{names[0]} is {top:g}: a logarithm needs means above zero"
    if missing is not None:
        return EffectSize(ratio, None, None, confidence, missing)
    cells = [
        (_error_squared(group[side] / mean) / len(groups) ** 2, group[side].size)
        for group in groups
        for side, mean in ((0, top), (1, bottom))
    ]
    reach = _quantile(cells, upper) * math.sqrt(sum(error for error, _ in cells))
    return EffectSize(ratio, ratio * math.exp(-reach), ratio * math.exp(reach), confidence)


def _too_few(groups: Groups) -> str | None:
    if min(values.size for group in groups for values in group) > 1:
        return None
    return _TOO_FEW if len(groups) == 1 else _TOO_FEW_IN_STRATA


def _without_interval(groups: Groups) -> str | None:
    if (missing := _too_few(groups)) is not None:
        return missing
    return _CONSTANT if all(np.ptp(values) == 0 for group in groups for values in group) else None


def _error_squared(values: Floats) -> float:
    """Squared standard error of the mean."""
    return float(values.var(ddof=1)) / values.size


def _quantile(cells: Sequence[tuple[float, int]], upper: float) -> float:
    """Student's t with Satterthwaite's degrees of freedom, for (squared error, number of values) of independent means."""
    total = sum(error for error, _ in cells)
    return student_quantile(upper, 1 / sum((error / total) ** 2 / (n - 1) for error, n in cells))
