"""The part of the samples on which the noise floor and the random change are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repdrift.comparison.options import ComparisonOptions
from repdrift.tasks import SampleSet

LEAST_CONTROL_SAMPLES = 32
MOST_CONTROL_SAMPLES = 256
_SHARE = 16
"""One sample in sixteen, so that the controls cost little beside the passes that the answer needs."""


@dataclass(frozen=True)
class ControlSamples:
    """Some of a comparison's samples, drawn at random, in their order.

    indices: their positions in the whole sample set. samples: the sample set of them alone.
    """

    indices: list[int]
    samples: SampleSet

    def __len__(self) -> int:
        return len(self.indices)


def control_samples(samples: SampleSet, options: ComparisonOptions) -> ControlSamples:
    """Draws `options.control_samples` of the samples, or all of them if it is 0 or there are not so many.

    The drawing depends on the number of samples alone, so that every process and every run takes the same ones. Debiased
    CKA has the same expectation on a part as on the whole, so values of both can be set side by side.
    """
    usual = min(max(len(samples) // _SHARE, LEAST_CONTROL_SAMPLES), MOST_CONTROL_SAMPLES)
    return drawn_samples(samples, options.control_samples, default=usual)


def drawn_samples(samples: SampleSet, wanted: int | None, *, default: int) -> ControlSamples:
    """Draws `wanted` of the samples (None: `default`), or all of them if it is 0 or there are not so many."""
    n = len(samples)
    if wanted is None:
        wanted = default
    if wanted == 0 or wanted >= n:
        return ControlSamples(list(range(n)), samples)
    indices = sorted(np.random.default_rng(20241).choice(n, size=wanted, replace=False).tolist())
    return ControlSamples(indices, samples.part(indices))
