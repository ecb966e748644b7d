"""Distances between samples, centred: distance covariance is HSIC with distances in the place of inner products.

Source: Székely, Rizzo and Bakirov 2007; Székely and Rizzo 2013; Sejdinovic et al. 2013 (the equality with HSIC).
"""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.gram import gram
from repdrift.similarity.hsic import Kernel
from repdrift.similarity.side import Side

_CLOSE = 1 / 64
"""Squared distances below this share of the squared lengths have lost digits in the product form."""

_MANY = 1 / 16
"""Share of close pairs from which on all distances at once are quicker than the close ones."""

_NUMBERS = 1 << 22
"""Of differences held at a time."""

_ROUNDING = 1e-13
"""Distances that vary by less than this share of themselves are equal."""


def distances(side: Side) -> Tensor:
    """Euclidean distances between the samples of a side as it was scaled (`Side.centred`): (n, n), shared.

    By products, and for close pairs, where those cancel, from the differences.
    """
    x = side.centred
    products = gram(x)
    lengths = products.diagonal().clone()
    sums = lengths[:, None] + lengths
    squares = torch.sub(sums, products, alpha=2, out=products)
    close = (squares < _CLOSE * sums).triu_(1)
    del sums
    i, j = close.nonzero(as_tuple=True)
    if i.shape[0] > _MANY * side.n**2:
        return _all_distances(x)
    pairs = max(1, _NUMBERS // side.p)
    for some_i, some_j in zip(i.split(pairs), j.split(pairs), strict=True):
        exact = (x[some_i] - x[some_j]).square().sum(dim=1)
        squares[some_i, some_j] = exact
        squares[some_j, some_i] = exact
    return squares.fill_diagonal_(0.0).sqrt_()


def doubly_centred_distances(side: Side) -> Kernel:
    """Distances less the means of their rows and columns: the biased HSIC of two is n^2 dCov^2. Shared."""
    d = side.shared(distances)
    means = d.mean(dim=1)
    centred = d - means[:, None] - means + means.mean()
    diagonal = centred.diagonal().clone()
    centred.fill_diagonal_(0.0)
    return Kernel(centred, True, diagonal, centred.sum(dim=1))


def u_centred_distances(side: Side) -> Kernel:
    """U-centred distances, 0 on the diagonal: the unbiased HSIC of two is the unbiased squared distance covariance.

    HSIC would centre distances by itself; done here, their large common part never enters a product.
    Raises DegenerateInputError if all samples are equally far apart. Shared.
    """
    d = side.shared(distances)
    n = side.n
    means = d.sum(dim=1) / (n - 2)
    centred = d - means[:, None] - means + means.sum() / (n - 1)
    centred.fill_diagonal_(0.0)
    if float(torch.linalg.vector_norm(centred)) <= _ROUNDING * float(torch.linalg.vector_norm(d)):
        raise DegenerateInputError("all samples are equally far apart: their distances correlate with nothing")
    return Kernel(centred, True, torch.zeros_like(means), centred.sum(dim=1))


def _all_distances(x: Tensor) -> Tensor:
    n = x.shape[0]
    i, j = torch.triu_indices(n, n, 1, device=x.device)
    out = x.new_zeros((n, n))
    out[i, j] = out[j, i] = torch.nn.functional.pdist(x)
    return out
