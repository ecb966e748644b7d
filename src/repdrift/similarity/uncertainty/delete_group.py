"""Delete-a-group jackknife: any measure, computed anew from the rows without each group of samples.

Samples are left out and not drawn with replacement, for this reason: of two copies of one sample each is the other's nearest
neighbour, their distance is 0 whatever the model does, and ranks, covariances and held-out predictions meet the same row twice.
That pulls a measure towards "alike", by an amount that has nothing to do with how far its value varies. A subset of the samples
is a sample like any other, so that the jackknife needs nothing of a measure but its value. (Debiased CKA has a form in which
copies count nothing: `repdrift.similarity.uncertainty.resampling`.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import ConfigError, DataError, ShapeError
from repdrift.similarity.arrays import require_paired, require_same_device
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation


def jackknife_groups(n: int, n_groups: int, *, seed: int) -> NDArray[np.int64]:
    """Put each of n samples into a group at random: (n,) labels 0 to n_groups - 1. Sizes differ by one at most. Seeded.

    Use one grouping for every layer, measure and model of a task: differences between them are then paired.
    n_groups = n leaves out one sample at a time. Raises ConfigError unless 2 <= n_groups <= n.
    """
    if not 2 <= n_groups <= n:
        raise ConfigError(f"groups to leave out should be at least 2 and at most the {n} samples, got {n_groups}")
    return np.random.default_rng(seed).permutation(np.arange(n, dtype=np.int64) % n_groups)


def delete_group_values(
    m: Measure, x: Representation, ys: Sequence[Representation], groups: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Compute the measure of x with each of `ys`, without the samples of each group in turn: (len(ys), G).

    groups: (n,) labels 0 to G - 1, as `jackknife_groups` gives them. The variance of the value over samples is estimated by
    (G - 1) / G times the sum of squared deviations of a row from its mean, with G - 1 degrees of freedom. What depends on x
    alone is computed once per group for all `ys`.
    Raises ShapeError or DataError if `groups` are not such labels; and what the measure raises if it is undefined without a
    group. Source: Shao and Wu 1989; Kott 2001 for groups at random.
    """
    for y in ys:
        require_paired(x.n, y.n)
        require_same_device(x.device, y.device)
    labels, count = _checked(groups, x.n, x.device)
    values = np.empty((len(ys), count))
    if not ys:
        return values
    for group in range(count):
        kept = (labels != group).nonzero().squeeze(1)
        left = m.prepare(_rows(m, x, kept))
        values[:, group] = [m.compare(left, m.prepare(_rows(m, y, kept))) for y in ys]
    return values


def _rows(m: Measure, representation: Representation, kept: Tensor) -> Representation:
    return Representation(representation.given.index_select(0, kept), constant_allowed=m.inputs == "predictions")


def _checked(groups: NDArray[np.integer], n: int, device: torch.device) -> tuple[Tensor, int]:
    labels = np.asarray(groups)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ShapeError(f"groups should be integers of shape ({n},), got {labels.dtype} of shape {labels.shape}")
    count = int(labels.max()) + 1
    found = np.unique(labels)
    if count < 2 or not np.array_equal(found, np.arange(count)):
        raise DataError(
            f"groups should be labelled 0 to G - 1 with G at least 2 and none empty, got labels {found.tolist()[:10]}"
        )
    return torch.as_tensor(labels.astype(np.int64), device=device), count
