"""Drifts of one layer's models when the samples are drawn anew: with replacement, or with some left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.drift.sample_intervals import Draws
from repdrift.similarity import Measure, Representation
from repdrift.similarity.uncertainty.delete_group import delete_group_values

Floats = NDArray[np.floating]


def bootstrapped_drifts(m: Measure, base: Any, tuned: Sequence[Any], draws: Draws) -> Floats | None:
    """(len(tuned), B) drifts of prepared sides under resampling with replacement; None where the measure has no such form."""
    if not tuned or draws.weights is None:
        return None
    values = m.resampled(base, tuned, draws.weights)
    return None if values is None else drifts_of(m, values)


def left_out_drifts(
    m: Measure, base: Any, tuned: Sequence[Any], draws: Draws, sides: tuple[Representation, Sequence[Representation]]
) -> Floats | None:
    """(len(tuned), G) drifts without each sample where the measure has a formula for that, else without each group of samples.

    sides: of base and tuned, from which a measure without a formula is derived again. None where neither is at hand, or
    where the measure is undefined without some of the samples: then there is no interval, and the value stands.
    """
    if not tuned:
        return None
    try:
        if draws.by_sample:
            without = [m.without_one(base, other) for other in tuned]
            if all(values is not None for values in without):
                return drifts_of(m, np.array(without))
        if draws.groups is None:
            return None
        return drifts_of(m, delete_group_values(m, sides[0], sides[1], draws.groups))
    except DegenerateInputError:
        return None


def drifts_of(m: Measure, values: Floats) -> Floats:
    """`Measure.drift` of every value."""
    return m.self_value - values if m.higher_is_similar else values
