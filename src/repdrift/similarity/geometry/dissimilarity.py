"""Dissimilarity of every two samples of one side: the entries above the diagonal of an n x n matrix.

Distances are taken from products where these are exact enough, and from differences of rows where two rows are close, so
that near duplicates keep their digits. Equal rows are exactly 0 apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.distances import distances, squared_row_distances
from repdrift.similarity.geometry.row_cosine import unit_rows
from repdrift.similarity.inputs import centred
from repdrift.similarity.representation import Representation

RESOLUTION = 2.0**-44
"""Distances that differ by at most this share of the longest row are tied. Rounding, as by a rotation, stays well below;
different distances of real data lie closer than this only by rare accident, and are then ranked as equal."""

_FAINT = 2.0**-900
"""Rows of numbers smaller than this, beside a massive one, are scaled by themselves: they would lose digits, or vanish."""


@dataclass(frozen=True, eq=False)
class Dissimilarity:
    """Distances of all pairs of n samples: (n(n-1)/2,), by rows above the diagonal."""

    distances: Tensor
    n: int
    resolution: float
    """Distances no further apart are tied."""


def euclidean_distances(representation: Representation) -> Dissimilarity:
    """Euclidean distances between samples, in the units of `Representation.scaled`.

    Raises DegenerateInputError if all pairs of samples are equally far apart.
    """
    longest = float(representation.scaled.square().sum(dim=1).max().sqrt())
    return _of_square(representation.shared(distances), RESOLUTION * longest)


def correlation_chords(representation: Representation) -> Dissimilarity:
    """sqrt(2 (1 - r)) between samples, r being Pearson's correlation of their feature vectors, over features.

    Not 1 - r itself, which is half its square: the chord is a distance between vectors, whose rounding is alike everywhere.
    Raises DegenerateInputError naming a sample whose features are all equal, and if all pairs are equally far apart.
    """
    given = representation.given
    flat = (given == given[:, :1]).all(dim=1)
    if bool(flat.any()):
        sample = int(flat.nonzero()[0])
        raise DegenerateInputError(
            f"all features of sample {sample} are equal: its correlation with other samples is undefined"
        )
    x = representation.scaled
    faint = x.abs().amax(dim=1, keepdim=True) < _FAINT
    if bool(faint.any()):
        x = torch.where(faint, unit_rows(representation.exact).rows, x)
    rows = centred(unit_rows(centred(x.T).T).rows)  # what all rows share would only add to rounding
    return _of_square(squared_row_distances(rows).sqrt_(), RESOLUTION)


def reordered_pairs(values: Tensor, n: int, order: Tensor) -> Tensor:
    """Values of all pairs (n(n-1)/2,), of the samples in another order (n,)."""
    i, j = order[torch.triu_indices(n, n, 1, device=order.device)]
    low, high = torch.minimum(i, j), torch.maximum(i, j)
    return values[low * n - low * (low + 1) // 2 + high - low - 1]


def _of_square(square: Tensor, resolution: float) -> Dissimilarity:
    n = square.shape[0]
    i, j = torch.triu_indices(n, n, 1, device=square.device)
    pairs = square[i, j]
    low, high = torch.aminmax(pairs)
    if float(high - low) <= resolution:
        raise DegenerateInputError(
            f"all pairs of the {n} samples are equally far apart: a correlation of distances is undefined"
        )
    return Dissimilarity(pairs, n, resolution)
