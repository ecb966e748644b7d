"""Rows of a layer as runs of consecutive ones, and how far they are complete from the first on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ShapeError

Runs = list[tuple[int, int]]
"""(first row, count) each, ascending and apart."""


def runs_of(rows: NDArray[np.int64]) -> Runs:
    """The runs of (m,) ascending, distinct row numbers."""
    if not len(rows):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(rows) != 1) + 1])
    counts = np.diff(np.concatenate([starts, [len(rows)]]))
    return list(zip(rows[starts].tolist(), counts.tolist(), strict=True))


class Frontier:
    """How many rows of a layer, from row 0 on, are written without a gap."""

    def __init__(self) -> None:
        self.row = 0
        """The first row that is not yet written."""
        self._ahead: Runs = []

    def add(self, runs: Iterable[tuple[int, int]]) -> None:
        """Note that these rows are written. Raises ShapeError if one was written before."""
        for run in runs:
            heapq.heappush(self._ahead, run)
        while self._ahead and self._ahead[0][0] <= self.row:
            start, count = heapq.heappop(self._ahead)
            if start < self.row:
                raise ShapeError(f"row {start} is written twice, by two batches")
            self.row = start + count
