"""Distances between samples, centred: distance covariance is HSIC with distances in the place of inner products.

Source: Székely, Rizzo and Bakirov 2007; Székely and Rizzo 2013; Sejdinovic et al. 2013 (the equality with HSIC).
"""

from __future__ import annotations

import torch

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.distances import distances
from repdrift.similarity.kernels.hsic import Kernel, u_centre_
from repdrift.similarity.representation import Representation

_ROUNDING = 1e-13
"""Distances that vary by less than this share of themselves are equal."""


def doubly_centred_distances(representation: Representation) -> Kernel:
    """Distances less the means of their rows and columns: the biased HSIC of two is n^2 dCov^2. Shared."""
    d = representation.shared(distances)
    means = d.mean(dim=1)
    centred = d - means[:, None] - means + means.mean()
    diagonal = centred.diagonal().clone()
    centred.fill_diagonal_(0.0)
    return Kernel(centred, True, diagonal, centred.sum(dim=1))


def u_centred_distances(representation: Representation) -> Kernel:
    """U-centred distances, 0 on the diagonal: the unbiased HSIC of two is the unbiased squared distance covariance.

    HSIC would centre distances by itself; done here, their large common part never enters a product.
    Raises DegenerateInputError if all samples are equally far apart. Shared.
    """
    d = representation.shared(distances)
    centred = u_centre_(d.clone())
    if float(torch.linalg.vector_norm(centred)) <= _ROUNDING * float(torch.linalg.vector_norm(d)):
        raise DegenerateInputError("all samples are equally far apart: their distances correlate with nothing")
    return Kernel(centred, True, centred.new_zeros(representation.n), centred.sum(dim=1))
