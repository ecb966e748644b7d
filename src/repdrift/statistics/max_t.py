"""One family-wise error for many layers: how often the largest of them is beaten under rearranged data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from repdrift.statistics.arrangements import Floats

Hits = NDArray[np.int64]


def max_t_hits(blocks: Iterable[Floats], seen: Floats, slack: Floats) -> tuple[Hits, Hits, Hits]:
    """Arrangements at least as extreme as `seen`: layer by layer, by the maximum of all, and step-down; each (L,).

    blocks: (some arrangements, L) statistics, more of which is more evidence; seen: (L,), the observed ones; slack:
    (L,), how far apart two may lie and still tie. Shares of single-step and step-down hits are adjusted p-values;
    step-down ones are never the larger. Source: Westfall and Young 1993, algorithm 4.1.
    """
    order = np.argsort(-seen, kind="stable")
    least = seen - slack.max()
    alone, single, stepped = (np.zeros(seen.size, dtype=np.int64) for _ in range(3))
    for block in blocks:
        alone += (block >= seen - slack).sum(axis=0)
        # Column j of `largest` is the maximum over the layers that are not more extreme than the j-th most extreme.
        largest = np.maximum.accumulate(block[:, order[::-1]], axis=1)[:, ::-1]
        single += (largest[:, :1] >= least).sum(axis=0)
        stepped[order] += (largest >= least[order]).sum(axis=0)
    stepped[order] = np.maximum.accumulate(stepped[order])
    return alone, single, stepped
