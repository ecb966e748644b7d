"""Drift without any training: from rounding alone, and between samples that do not belong together."""

from __future__ import annotations

import numpy as np
import torch

from repdrift.similarity import Measure, Representation

UNIT_ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
"""The largest relative error of rounding a number to the format."""
MISPAIRED_SHUFFLES = 10
_NEGLIGIBLE = 2.0**-20
ZERO_DRIFT = 1e-12
"""A drift up to this size is what rounding in float64 leaves of two equal sets."""


def coarsest(*dtypes: str) -> str:
    """Returns the format with the largest rounding errors; an unknown one counts as float32."""
    return max(dtypes, key=lambda name: UNIT_ROUNDOFF.get(name, UNIT_ROUNDOFF["float32"]))


def rounding_drift(m: Measure, base: Representation, dtype: str) -> float | None:
    """Returns the drift of `base` (n, p) against itself with every number rounded once to `dtype`; None if negligible.

    Rounding is simulated by uniform errors of the format's relative size, because a set that is stored in the format would
    round to itself. A model that runs in the format rounds in every layer. The identity control shows more of that, because its
    two extractions differ in their batches.
    """
    size = UNIT_ROUNDOFF.get(dtype, 0.0)
    if size < _NEGLIGIBLE:
        return None
    exact = base.exact
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(exact.shape, generator=generator, dtype=torch.float64).to(exact.device).mul_(2).sub_(1)
    return abs(m.drift(m(base, Representation(exact * (1 + size * noise)))))


def mispairings(n: int) -> np.ndarray:
    """Returns 10 seeded permutations of n samples, (10, n), that pair every row with the row of another sample."""
    generator = np.random.default_rng(20240)
    shuffles = np.empty((MISPAIRED_SHUFFLES, n), dtype=np.int64)
    for row in shuffles:
        cycle = generator.permutation(n)
        row[cycle] = np.roll(cycle, 1)  # one cycle through all samples moves every one of them
    return shuffles
