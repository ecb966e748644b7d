"""The mean of paired differences over trained models, with an interval: two readings of each model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.confidence import Interval, student_quantile, upper_level
from repdrift.statistics.arrangements import finite, stratum_labels
from repdrift.statistics.effect_size import EffectSize

_TOO_FEW = "an interval needs at least two models"
_TOO_FEW_IN_STRATA = "an interval needs at least two models in every stratum"
_ROUNDING = 8 * np.finfo(np.float64).eps
"""Up to this share of the largest, differences that differ are one number."""
_CONSTANT = "the differences do not vary: an interval would have no width"


def paired_difference(
    differences: ArrayLike, *, strata: Sequence[object] | None = None, confidence: float = 0.95
) -> EffectSize:
    """The mean over strata of the mean difference within them, with Student's interval.

    differences: (m,), one per trained model: one reading of it minus another. strata: a label for each, such as its task;
    None: one stratum. Degrees of freedom over several strata are Satterthwaite's. Assumes differences near normal. No
    interval if a stratum has one model, or if no difference varies within its stratum.
    Raises NonFiniteError for NaN or Inf, ShapeError for an empty list or other labels, ConfigError unless 0 < confidence < 1.
    Source: Student 1908; Satterthwaite 1946.
    """
    values, upper = finite(differences, "differences"), upper_level(confidence)
    labels = np.asarray(stratum_labels(strata, values.size, "difference"))
    parts = [values[labels == label] for label in dict.fromkeys(labels.tolist())]
    mean = float(np.mean([part.mean() for part in parts]))
    if min(part.size for part in parts) < 2:
        return EffectSize(mean, None, _TOO_FEW if len(parts) == 1 else _TOO_FEW_IN_STRATA)
    if all(np.ptp(part) <= _ROUNDING * np.abs(part).max() for part in parts):
        return EffectSize(mean, None, _CONSTANT)
    squares = [float(part.var(ddof=1)) / part.size / len(parts) ** 2 for part in parts]
    total = sum(squares)
    freedom = 1 / sum((square / total) ** 2 / (part.size - 1) for square, part in zip(squares, parts, strict=True))
    reach = student_quantile(upper, freedom) * math.sqrt(total)
    return EffectSize(mean, Interval(mean - reach, mean + reach))
