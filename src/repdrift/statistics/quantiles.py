"""Quantiles and tails of the normal, Student's t and F: the one place where scipy's untyped functions are called."""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc, ndtr, ndtri, stdtr, stdtrit  # pyright: ignore[reportMissingTypeStubs] (scipy ships no stubs)

from repdrift.core.errors import ConfigError
from repdrift.statistics.arrangements import Floats


def upper_level(confidence: float) -> float:
    """The level of the upper end of a two-sided interval, 0.975 for 0.95. Raises ConfigError unless 0 < it < 1."""
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence lies between 0 and 1, such as 0.95; got {confidence}")
    return 0.5 + confidence / 2


def normal_quantile(level: float) -> float:
    """The standard normal's quantile at one level in (0, 1)."""
    return float(ndtri(level))


def normal_quantiles(levels: Floats) -> Floats:
    """The standard normal's quantiles at levels (...) in (0, 1)."""
    return np.asarray(ndtri(levels), dtype=np.float64)


def normal_levels(quantiles: Floats) -> Floats:
    """The share of the standard normal below each of `quantiles` (...)."""
    return np.asarray(ndtr(quantiles), dtype=np.float64)


def student_quantile(level: float, degrees_of_freedom: float) -> float:
    """The quantile of Student's t at one level in (0, 1); the degrees of freedom need not be whole."""
    return float(stdtrit(degrees_of_freedom, level))


def student_two_sided(statistic: float, degrees_of_freedom: float) -> float:
    """The two-sided p of Student's t."""
    return 2 * float(stdtr(degrees_of_freedom, -abs(statistic)))


def f_upper_tail(statistic: float, numerator: float, denominator: float) -> float:
    """The share of the F distribution with these degrees of freedom above `statistic`."""
    return float(fdtrc(numerator, denominator, statistic))
