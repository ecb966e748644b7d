"""Intervals in which a new observation is to be expected."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.confidence import Interval, student_quantile, upper_level
from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError


def prediction_interval(values: ArrayLike, *, confidence: float = 0.95, least_spread: float = 0.0) -> Interval:
    """The interval in which one more observation of the same normal distribution lies with this probability.

    values: (n,) observations, n >= 2, such as one number of each trained model of an arm. Returns mean -+ t * s * sqrt(1 + 1/n), in the unit of the values,
    with Student's quantile t for n - 1 degrees of freedom and the standard deviation s over n - 1, or `least_spread` where that is larger: values that can
    only be multiples of a step are often equal by chance. It is exact for normal values; an interval
    for the mean would be far shorter, and says nothing on a new observation.
    Raises ShapeError for another shape, DegenerateInputError for fewer than two values, NonFiniteError for NaN or Inf, and ConfigError
    unless 0 < confidence < 1. Source: Hahn and Meeker 1991, section 4.7.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise ShapeError(f"a prediction interval is of a list of values; expected shape (n,), got {found.shape}")
    if found.size < 2:
        raise DegenerateInputError(f"a prediction interval needs at least 2 values, got {found.size}")
    if not np.isfinite(found).all():
        raise NonFiniteError(f"{int((~np.isfinite(found)).sum())} of {found.size} values are NaN or Inf")
    n = found.size
    spread = max(float(found.std(ddof=1)), least_spread)
    reach = student_quantile(upper_level(confidence), n - 1) * spread * math.sqrt(1 + 1 / n)
    mean = float(found.mean())
    return Interval(mean - reach, mean + reach)
