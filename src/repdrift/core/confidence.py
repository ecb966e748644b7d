"""Confidence intervals: what similarity and statistics both need, from arrays of numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.errors import ConfigError


class Interval(NamedTuple):
    """A two-sided confidence interval, in the unit of the number that it is about."""

    low: float
    high: float


def upper_level(confidence: float) -> float:
    """The level of the upper end of a two-sided interval: 0.975 for 0.95. Raises ConfigError unless 0 < confidence < 1."""
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence lies between 0 and 1, such as 0.95; got {confidence}")
    return 0.5 + confidence / 2


def student_quantile(level: float, degrees_of_freedom: float) -> float:
    """The quantile of Student's t at a level in (0, 1). The degrees of freedom need not be whole."""
    return float(stdtrit(degrees_of_freedom, level))


def jackknife_error(leave_one_out: NDArray[np.float64]) -> float:
    """The delete-one jackknife's standard error of a statistic. leave_one_out: (n,), it without each of the n units.

    Source: Efron and Stein 1981.
    """
    n = leave_one_out.size
    return math.sqrt((n - 1) / n * float(np.square(leave_one_out - leave_one_out.mean()).sum()))


def jackknife_reach(leave_one_out: NDArray[np.float64], confidence: float, freedom: float | None = None) -> float:
    """Half the width of the delete-one jackknife interval of a statistic: Student's t x the jackknife's error.

    leave_one_out: (n,), the statistic without each of the n samples. Student's t has n - 1 degrees of freedom, or `freedom`.
    Raises ConfigError unless 0 < confidence < 1.
    Source: Efron and Stein 1981. Departure: Student's t in the place of the normal quantile.
    """
    upper, n = upper_level(confidence), leave_one_out.size
    return student_quantile(upper, n - 1 if freedom is None else freedom) * jackknife_error(leave_one_out)
