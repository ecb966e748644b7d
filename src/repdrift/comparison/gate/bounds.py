"""Ends of intervals at another confidence, and of the mean over layers, from the 95 % intervals that a comparison holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repdrift.core.confidence import Interval, student_quantile
from repdrift.core.errors import ShapeError

_CONFIDENCE_UPPER = 0.975
"""The level of each end of the intervals in the record."""


@dataclass(frozen=True)
class Spread:
    """Centre and standard error of a number, with the degrees of freedom of Student's t.

    is_log: whether both are of the number's logarithm, as intervals of drifts are made.
    """

    centre: float
    error: float
    freedom: float
    is_log: bool

    def ends(self, level: float) -> Interval:
        """The two ends, each of which holds with the probability `level`, such as 0.975.

        Of a drift, the upper end is taken on the scale of the logarithm and the lower one on the plain scale, where each is the wider one. Samples
        that make a drift larger make its error on the logarithm's scale smaller, so that a lower end from there lies above the truth too
        often: in 4 to 6 % instead of 2.5 %, simulated (benchmarks/gate/error_rate.py).
        """
        reach = student_quantile(level, self.freedom) * self.error
        if not self.is_log:
            return Interval(self.centre - reach, self.centre + reach)
        centre = math.exp(self.centre)
        return Interval(centre * (1 - reach), centre * math.exp(reach))

    @property
    def linear(self) -> Spread:
        """Returns the spread of the number itself."""
        if not self.is_log:
            return self
        centre = math.exp(self.centre)
        return Spread(centre, centre * self.error, self.freedom, is_log=False)


def spread_of(low: float, high: float, freedom: float) -> Spread:
    """The spread behind a 95 % interval of a drift: on the scale of the logarithm where both ends are above 0, as it was made there."""
    reach = student_quantile(_CONFIDENCE_UPPER, freedom)
    if low > 0:
        return Spread((math.log(low) + math.log(high)) / 2, math.log(high / low) / (2 * reach), freedom, is_log=True)
    return Spread((low + high) / 2, (high - low) / (2 * reach), freedom, is_log=False)


def spread_about(value: float, low: float, high: float, freedom: float) -> Spread:
    """The spread behind a 95 % interval of a mean, which lies evenly about `value` unless one of its ends was cut off, as that of a share."""
    reach = max(value - low, high - value)
    return Spread(value, reach / student_quantile(_CONFIDENCE_UPPER, freedom), freedom, is_log=False)


def mean_spread(parts: Sequence[Spread]) -> Spread:
    """The spread of the mean of numbers that may depend on each other in any way.

    The error of a mean is never larger than the mean of the errors (the triangle inequality, which holds for jackknife errors too). It is
    that large if the numbers move together, as drifts of neighbouring layers nearly do. On the scale of the logarithm the parts weigh by
    their size. Raises ShapeError for no numbers.
    """
    if not parts:
        raise ShapeError("the mean of no numbers has no spread")
    freedom = min(part.freedom for part in parts)
    if all(part.is_log for part in parts):
        sizes = np.exp([part.centre for part in parts])
        error = float(np.average([part.error for part in parts], weights=sizes))
        return Spread(math.log(float(sizes.mean())), error, freedom, is_log=True)
    lines = [part.linear for part in parts]
    centre, error = (float(np.mean(values)) for values in zip(*((p.centre, p.error) for p in lines), strict=True))
    return Spread(centre, error, freedom, is_log=False)
