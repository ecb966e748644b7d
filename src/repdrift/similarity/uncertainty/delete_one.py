"""Intervals over samples from values without each sample: Student's t for means, the delete-one jackknife for the rest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from repdrift.core.confidence import Interval, jackknife_reach, student_quantile, upper_level

_EQUAL = 1e-12
"""A drift up to this is rounding: an interval of its logarithm would be one of noise."""

_LARGE = 1e100
"""Squares of larger numbers may leave float64."""


def mean_reach(values: NDArray[np.float64], confidence: float) -> float:
    """Half the width of Student's interval of the mean of `values` (n,). Raises ConfigError unless 0 < confidence < 1."""
    n, largest = values.size, float(np.abs(values).max())
    unit = largest if largest > _LARGE else 1.0
    return student_quantile(upper_level(confidence), n - 1) * unit * float((values / unit).std(ddof=1)) / math.sqrt(n)


def mean_without_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of `values` (n,) without each of them in turn: (n,)."""
    mean = values.mean()
    return mean + (mean - values) / (values.size - 1)


def similarity_interval(value: float, without_one: NDArray[np.float64], confidence: float) -> Interval | None:
    """Delete-one jackknife interval of a similarity, computed on the scale log(1 - value).

    On that scale errors near 1 are symmetric. If the two sides are equal whichever sample is left out, both ends are the value
    itself. None if they are equal with all samples, or without some sample, but not always.
    Raises ConfigError unless 0 < confidence < 1.
    """
    upper_level(confidence)  # a wrong confidence is an error for equal sides too
    drifts, drift = 1 - without_one, 1 - value
    equal = drifts <= _EQUAL
    if equal.all() and drift <= _EQUAL:
        return Interval(value, value)
    if equal.any() or drift <= _EQUAL:
        return None
    reach = jackknife_reach(np.log(drifts), confidence)
    return Interval(1 - drift * math.exp(reach), 1 - drift * math.exp(-reach))
