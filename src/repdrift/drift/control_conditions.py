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
"""Up to here 1 - similarity is what rounding in float64 leaves of two equal sets."""


def coarsest(*dtypes: str) -> str:
    """The format with the largest rounding errors; an unknown one counts as float32."""
    return max(dtypes, key=lambda name: UNIT_ROUNDOFF.get(name, UNIT_ROUNDOFF["float32"]))


def rounding_drift(m: Measure, base: Representation, dtype: str) -> float | None:
    """Drift of `base` (n, p) against itself with every number rounded once to `dtype`; None where that is negligible.

    Rounding is simulated by uniform errors of the format's relative size, since a set that is stored in the format
    itself would round to itself. A model that runs in the format rounds in every layer: the identity control, where the
    two extractions differ in their batches, shows more of that.
    """
    size = UNIT_ROUNDOFF.get(dtype, 0.0)
    if size < _NEGLIGIBLE:
        return None
    exact = base.exact
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(exact.shape, generator=generator, dtype=torch.float64).to(exact.device).mul_(2).sub_(1)
    return abs(m.drift(m(base, Representation(exact * (1 + size * noise)))))


def mispairings(n: int) -> np.ndarray:
    """Seeded permutations of n samples without a fixed point, (10, n): every row is paired with another sample's."""
    generator = np.random.default_rng(20240)
    shuffles = np.empty((MISPAIRED_SHUFFLES, n), dtype=np.int64)
    for row in shuffles:
        cycle = generator.permutation(n)
        row[cycle] = np.roll(cycle, 1)  # one cycle through all samples moves every one of them
    return shuffles
