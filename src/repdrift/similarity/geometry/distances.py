"""Distances between all samples of one representation, without cancellation; computed once for all measures.

Distances are taken from products where these are exact enough, and from differences of rows where two rows are close, so
that near duplicates keep their digits. Equal rows are exactly 0 apart.
"""

from __future__ import annotations

from collections.abc import Iterator
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

_STRIP = 1 << 20
"""Numbers of the rows of an n x n table that are worked on at once, so that no second table is made."""


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
    return _varying(pairs_of(representation.shared(squared_distances)).sqrt_(), representation.n, RESOLUTION * longest)


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
    return _varying(pairs_of(squared_row_distances(rows)).sqrt_(), representation.n, RESOLUTION)


def squared_row_distances(rows: Tensor) -> Tensor:
    """|x_i - x_j|^2 of float64 rows (n, p): (n, n), symmetric, exactly 0 for equal rows.

    Take off first what all rows share. Computed from products; for close pairs, where those cancel, from the differences
    of rows.
    """
    n = len(rows)
    table = gram(rows)
    lengths = table.diagonal().clone()
    close: list[Tensor] = []
    count = 0
    for start, stop in row_strips(n):
        upper = table[start:stop, start:]
        sums = lengths[start:stop, None] + lengths[start:]
        upper.mul_(-2).add_(sums)
        found = (upper < sums.mul_(_CLOSE)).triu_(1).nonzero().add_(start)
        count += len(found)
        if _MANY * count <= n**2 / 2:
            close.append(found)
    if _MANY * count > n**2 / 2:
        pairs, first = torch.pdist(rows).square_(), 0
        for row in range(n - 1):
            table[row, row + 1 :] = pairs[first : first + n - 1 - row]
            first += n - 1 - row
    else:
        step = max(1, _PIECE // rows.shape[1])
        for i, j in (part.T for found in close for part in found.split(step)):
            table[i, j] = (rows[i] - rows[j]).square_().sum(dim=1)
    for start, stop in row_strips(n):
        inside = table[start:stop, start:stop].triu_(1)
        inside += inside.T.clone()
        table[stop:, start:stop] = table[start:stop, stop:].T
    return table


def row_strips(n: int) -> Iterator[tuple[int, int]]:
    """First row of each strip of an n x n table, and the row after its last."""
    height = max(1, _STRIP // n)
    return ((start, min(start + height, n)) for start in range(0, n, height))


def pairs_of(table: Tensor) -> Tensor:
    """Entries of a table (n, n) above its diagonal, by rows: (n(n-1)/2,)."""
    n, first = table.shape[0], 0
    pairs = table.new_empty(n * (n - 1) // 2)
    for row in range(n - 1):
        pairs[first : first + n - 1 - row] = table[row, row + 1 :]
        first += n - 1 - row
    return pairs


def reordered_pairs(values: Tensor, n: int, order: Tensor) -> Tensor:
    """Values of all pairs (n(n-1)/2,), with the samples in another order (n,)."""
    reordered, first = torch.empty_like(values), 0
    for start, stop in row_strips(n):
        i, j = order[torch.triu_indices(stop - start, n - start, 1, device=order.device).add_(start)]
        low, high = torch.minimum(i, j), torch.maximum(i, j)
        reordered[first : first + len(i)] = values[low * n - low * (low + 1) // 2 + high - low - 1]
        first += len(i)
    return reordered


def _varying(pairs: Tensor, n: int, resolution: float) -> PairDistances:
    low, high = torch.aminmax(pairs)
    if float(high - low) <= resolution:
        raise DegenerateInputError(
            f"all pairs of the {n} samples are equally far apart: a correlation of distances is undefined"
        )
    return PairDistances(pairs, n, resolution)
