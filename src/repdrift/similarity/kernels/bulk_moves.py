"""Moves of samples beside the bulk: changes of a sample's pairs with those samples that moved least.

Where some samples move, the mean of all moves along, and so does the kernel of every sample that stayed. So means, lengths and pairs are taken of the bulk
alone: then what a sample that stayed has is 0, however far the others went. These are no shares of the drift; they tell which samples moved themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.kernels.sample_shares import RowParts
from repdrift.similarity.representation import Representation

_BLOCK = 1 << 22
"""Entries of a kernel that are computed at a time."""
_MOST_DRIFT = 0.97
"""Drift up to which random moves are scaled: close to 1 they would be all that is left."""


def moves_beside(x: Representation, y: Representation, bulk: NDArray[np.bool_]) -> RowParts:
    """Changes of every sample's pairs with the samples of the bulk, as `SampleShares` has them for pairs with all.

    x: (n, p), y: (n, q). bulk: (n,) booleans. Rows are centred about the mean of the bulk, and kernels scaled by its pairs; a sample's pair with itself
    counts nothing. Raises ShapeError if the row counts differ, DegenerateInputError if the bulk of a side does not vary.
    """
    require_paired(x.n, y.n)
    inside = torch.as_tensor(np.flatnonzero(bulk), device=x.device)
    sides = [side.scaled - side.scaled[inside].mean(dim=0) for side in (x, y)]
    lengths = [_length(rows[inside]) for rows in sides]
    if min(lengths) <= 0:
        raise DegenerateInputError("the samples that moved least do not vary on one side")
    change, of_x, of_y = (np.empty(x.n) for _ in range(3))
    step = max(1, _BLOCK // len(inside))
    for start in range(0, x.n, step):
        at = slice(start, min(start + step, x.n))
        own = inside == torch.arange(at.start, at.stop, device=x.device)[:, None]
        k, m = (
            (rows[at] @ rows[inside].T / length).masked_fill_(own, 0.0)
            for rows, length in zip(sides, lengths, strict=True)
        )
        change[at] = ((k - m).square().sum(dim=1) / 2).cpu().numpy()
        of_x[at] = k.square().sum(dim=1).cpu().numpy()
        of_y[at] = m.square().sum(dim=1).cpu().numpy()
    return RowParts(change, (of_x + of_y) / 2, of_x)


def moved_at_random(
    x: Representation, drift: float, *, draws: int, rows: int, seed: int
) -> Iterator[tuple[Representation, Representation]]:
    """Samples, and the same after each moved at random, `draws` times; at most `rows` of them, drawn without replacement.

    Moves are normal, with the covariance of the samples, and so long that the drift is nearly `drift`: adding rows of the same covariance, s times as
    long, makes a CKA of about 1 / (1 + s^2). x: (n, p). drift: above 0. With fewer samples their changes scatter more. Seeded.
    """
    reach = math.sqrt(min(drift, _MOST_DRIFT) / (1 - min(drift, _MOST_DRIFT)))
    generator = np.random.default_rng(seed)
    centred = x.centred
    for _ in range(draws):
        chosen = torch.as_tensor(generator.permutation(x.n)[:rows].copy(), device=x.device)
        mixed = torch.as_tensor(generator.normal(size=(len(chosen), x.n)) / math.sqrt(x.n), device=x.device)
        at_rest = centred[chosen]
        yield Representation(at_rest), Representation(at_rest + reach * (mixed @ centred))


def _length(rows: Tensor) -> float:
    """The root of the sum of squares of the kernel of `rows` (m, p), without its diagonal."""
    own = rows.square().sum(dim=1)
    whole = (rows.T @ rows if rows.shape[0] > rows.shape[1] else rows @ rows.T).square().sum()
    return math.sqrt(max(0.0, float(whole - own.square().sum())))
