"""Distances between all samples of one representation, without cancellation; computed once for all measures.

Distances are taken from products where these are exact enough, and from differences of rows where two rows are close, so
that near duplicates keep their digits. Equal rows are exactly 0 apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import centred
from repdrift.similarity.geometry.row_cosine import unit_rows
from repdrift.similarity.gram import gram
from repdrift.similarity.representation import Representation

RESOLUTION = 2.0**-44
"""Distances that differ by at most this share of the longest row are tied. Rounding, as by a rotation, stays well below;
different distances of real data lie closer than this only by rare accident, and are then ranked as equal."""

_FAINT = 2.0**-900
"""Rows of numbers smaller than this, beside a massive one, are scaled by themselves: they would lose digits, or vanish."""

_CLOSE = 1e-2
"""Squared distances below this share of the squared lengths would lose digits as a difference of products."""

_MANY = 16
"""If more than one pair in this many is close, it is cheaper to take differences of all rows."""

_PIECE = 1 << 22
"""Numbers that are held at once for differences of close rows."""


@dataclass(frozen=True, eq=False)
class PairDistances:
    """Distances of all pairs of n samples: (n(n-1)/2,), by rows above the diagonal of an n x n matrix."""

    distances: Tensor
    n: int
    resolution: float
    """Distances that differ by no more than this are tied."""


def squared_distances(representation: Representation) -> Tensor:
    """(n, n) squared distances between the samples of `Representation.centred`. Shared, not to be changed."""
    return squared_row_distances(representation.centred)


def distances(representation: Representation) -> Tensor:
    """(n, n) distances between the samples of `Representation.centred`. Shared, not to be changed."""
    return representation.shared(squared_distances).sqrt()


def euclidean_distances(representation: Representation) -> PairDistances:
    """Euclidean distances between samples, in the units of `Representation.scaled`.

    Raises DegenerateInputError if all pairs of samples are equally far apart.
    """
    longest = float(representation.scaled.square().sum(dim=1).max().sqrt())
    return _above_diagonal(representation.shared(distances), RESOLUTION * longest)


def correlation_chords(representation: Representation) -> PairDistances:
    """sqrt(2 (1 - r)) between samples; r is Pearson's correlation of their feature vectors, over features.

    It is not 1 - r, which is half its square: the chord is a distance between vectors, whose rounding is alike everywhere.
    Raises DegenerateInputError if all features of a sample are equal, naming it, and if all pairs are equally far apart.
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
    return _above_diagonal(squared_row_distances(rows).sqrt_(), RESOLUTION)


def squared_row_distances(rows: Tensor) -> Tensor:
    """|x_i - x_j|^2 of float64 rows (n, p): (n, n), symmetric, exactly 0 for equal rows.

    Take off first what all rows share. Computed from products; for close pairs, where those cancel, from the differences
    of rows.
    """
    n = len(rows)
    products = gram(rows)
    lengths = products.diagonal().clone()
    sums = lengths[:, None] + lengths
    upper = products.mul_(-2).add_(sums).triu_(1)
    i, j = (upper < _CLOSE * sums).triu_(1).nonzero().T
    if _MANY * len(i) > n**2 / 2:
        i, j = torch.triu_indices(n, n, 1, device=rows.device)
        upper[i, j] = torch.pdist(rows).square_()
        return upper.add_(upper.T.clone())
    step = max(1, _PIECE // rows.shape[1])
    for start in range(0, len(i), step):
        a, b = i[start : start + step], j[start : start + step]
        upper[a, b] = (rows[a] - rows[b]).square_().sum(dim=1)
    return upper.add_(upper.T.clone())


def reordered_pairs(values: Tensor, n: int, order: Tensor) -> Tensor:
    """Values of all pairs (n(n-1)/2,), with the samples in another order (n,)."""
    i, j = order[torch.triu_indices(n, n, 1, device=order.device)]
    low, high = torch.minimum(i, j), torch.maximum(i, j)
    return values[low * n - low * (low + 1) // 2 + high - low - 1]


def _above_diagonal(square: Tensor, resolution: float) -> PairDistances:
    n = square.shape[0]
    i, j = torch.triu_indices(n, n, 1, device=square.device)
    pairs = square[i, j]
    low, high = torch.aminmax(pairs)
    if float(high - low) <= resolution:
        raise DegenerateInputError(
            f"all pairs of the {n} samples are equally far apart: a correlation of distances is undefined"
        )
    return PairDistances(pairs, n, resolution)
