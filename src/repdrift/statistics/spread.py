"""Values that hardly vary over items, so that an interval from their spread would have next to no width and promise too much."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.confidence import Interval
from repdrift.statistics.grouped_mean import LEAST_DIFFERING


def without_spread(values: ArrayLike, groups: Sequence[Hashable] | None, *, of_differences: bool) -> str:
    """Returns the reason why values have no interval, as all but a few are the same; "" if they vary.

    values: (n,), or (models, n), whose mean over models is judged. groups: n labels; None: each item stands alone. of_differences: 0 means
    exactly no change, so values of which most are 0 are left to grouped_mean(), which counts those that differ.
    """
    of_items = np.atleast_2d(np.asarray(values, dtype=np.float64)).mean(axis=0)
    seen, counts = np.unique(of_items, return_counts=True)
    usual = seen[counts.argmax()]
    if of_differences and usual == 0:
        return ""
    others = of_items != usual
    units = (
        int(others.sum())
        if groups is None
        else len({name for name, other in zip(groups, others, strict=True) if other})
    )
    if units >= LEAST_DIFFERING:
        return ""
    what = "differ by the same" if of_differences else "have the same value"
    return f"no interval: all items but {units} {what}" if units else f"no interval: all items {what}"


def within_share(interval: Interval) -> Interval:
    """Returns the part of an interval of a share that lies between 0 and 1, where every share lies."""
    return Interval(max(0.0, interval.low), min(1.0, interval.high))
