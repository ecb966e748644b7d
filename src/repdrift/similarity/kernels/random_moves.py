"""Shares of the drift where no sample is special: every sample moved by the centred representation of another one, drawn at random.

The moves are scaled so that the drift is the one that was measured: adding rows of the same law, s times as long, makes a CKA of about
1 / (1 + s^2). What a sample's share then is depends on where it lies, and on chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from repdrift.similarity.arrays import centred
from repdrift.similarity.gram import gram
from repdrift.similarity.kernels.hsic import u_centre_
from repdrift.similarity.kernels.sample_shares import RowParts
from repdrift.similarity.representation import Representation

_MOST_DRIFT = 0.97
"""Drift up to which the moves are scaled: close to 1 they would be all that is left."""


def shares_of_random_moves(x: Representation, drift: float, *, draws: int, rows: int, seed: int) -> Iterator[RowParts]:
    """Shares of samples that all moved at random, `draws` times, each of at most `rows` samples drawn without replacement.

    x: (n, p), the base model's. drift: above 0, what the moves are scaled to; they do so nearly. With fewer samples shares scatter more, so that
    what is read off them is on the safe side. Seeded.
    """
    reach = math.sqrt(min(drift, _MOST_DRIFT) / (1 - min(drift, _MOST_DRIFT)))
    generator = np.random.default_rng(seed)
    everything = centred(x.scaled)
    for _ in range(draws):
        chosen = torch.as_tensor(generator.permutation(x.n)[:rows].copy(), device=x.device)
        at_rest = gram(everything[chosen])
        order = torch.as_tensor(generator.permutation(len(chosen)), device=x.device)
        with_moves = at_rest[:, order]
        with_moves[order, torch.arange(len(chosen), device=x.device)] = (
            0.0  # a sample with its own copy: no two draws of a law
        )
        moved = at_rest + reach * (with_moves + with_moves.T) + reach**2 * at_rest[order][:, order]
        k, m = _unit(at_rest), _unit(moved)
        of_x = k.square().sum(dim=1)
        share, weight = (k - m).square().sum(dim=1) / 2, (of_x + m.square().sum(dim=1)) / 2
        yield RowParts(*(part.cpu().numpy() for part in (share, weight, of_x)))


def _unit(table: Tensor) -> Tensor:
    """The U-centred kernel of a whole Gram matrix, which is changed, with squares that add up to 1."""
    table.fill_diagonal_(0.0)
    u_centre_(table)
    length = float(torch.linalg.vector_norm(table))
    return table / length if length > 0 else table
