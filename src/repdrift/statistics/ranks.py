"""Ranks of the values in each row, with what equal values share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdrift.statistics.arrangements import Floats


def rank_ranges(rows: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and last rank, from 1 for the least, that each value of (B, L) has or shares with its equals."""
    length = rows.shape[1]
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    edge = np.ones((rows.shape[0], length + 1), dtype=np.bool_)  # between place j - 1 and j the value changes
    edge[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
    place: NDArray[np.int64] = np.arange(1, length + 1, dtype=np.int64)
    starts: NDArray[np.int64] = np.maximum.accumulate(np.where(edge[:, :-1], place, 0), axis=1)
    upto: NDArray[np.int64] = np.where(edge[:, 1:], place, length)[:, ::-1]
    stops: NDArray[np.int64] = np.minimum.accumulate(upto, axis=1)[:, ::-1]
    first, last = np.empty_like(starts), np.empty_like(starts)
    np.put_along_axis(first, order, starts, axis=1)
    np.put_along_axis(last, order, stops, axis=1)
    return first, last


def mid_ranks(rows: Floats) -> Floats:
    """Ranks from 1 for the least; equal values have the mean of those they share."""
    first, last = rank_ranges(rows)
    return (first + last) / 2
