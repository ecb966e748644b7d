"""Mispairing on purpose: every row paired with another sample's."""

from __future__ import annotations

import numpy as np

MISPAIRED_SHUFFLES = 10


def mispairings(n: int) -> np.ndarray:
    """Seeded permutations of n samples without a fixed point, (10, n): every row is paired with another sample's."""
    generator = np.random.default_rng(20240)
    shuffles = np.empty((MISPAIRED_SHUFFLES, n), dtype=np.int64)
    for row in shuffles:
        cycle = generator.permutation(n)
        row[cycle] = np.roll(cycle, 1)  # one cycle through all samples moves every one of them
    return shuffles
