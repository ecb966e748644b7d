"""Euclidean distances between all samples of one side, without cancellation: one n x n matrix, shared by all measures."""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.similarity.gram import gram
from repdrift.similarity.representation import Representation

_CLOSE = 1e-2
"""Squared distances below this share of the squared lengths would lose digits as a difference of products."""

_MANY = 16
"""Where more than one pair in this many is close, differences of all rows are the cheaper way."""

_PIECE = 1 << 22
"""Numbers that are held at once for differences of close rows."""


def squared_distances(representation: Representation) -> Tensor:
    """(n, n) squared distances between the samples of `Representation.centred`. Shared, not to be changed."""
    return squared_row_distances(representation.centred)


def distances(representation: Representation) -> Tensor:
    """(n, n) distances between the samples of `Representation.centred`. Shared, not to be changed."""
    return representation.shared(squared_distances).sqrt()


def squared_row_distances(rows: Tensor) -> Tensor:
    """|x_i - x_j|^2 of float64 rows (n, p): (n, n), symmetric, exactly 0 for equal rows. What rows share is to be off.

    By products, and for close pairs, where those cancel, from the differences of rows.
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
