"""Distance correlation: whether samples that are far apart on one side are so on the other.

Distance covariance is HSIC with distances in the place of inner products, so that both forms are CKA of distances.
Source: Székely, Rizzo and Bakirov 2007; Székely and Rizzo 2013; Sejdinovic et al. 2013 (the equality with HSIC).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.catalogue import register
from repdrift.similarity.geometry.distances import distances
from repdrift.similarity.invariances import OF_SHAPE
from repdrift.similarity.kernels.hsic import Kernel, u_centre_
from repdrift.similarity.measures.cka import BIASED, DebiasedAlignment, KernelAlignment
from repdrift.similarity.representation import Representation

_ROUNDING = 1e-13
"""Distances that vary by less than this share of themselves are equal."""


@register
class DistanceCorrelation(KernelAlignment):
    """dCov / sqrt(dVar_x dVar_y) of Euclidean distances between samples: not squared.

    It is the root of biased CKA with doubly centred distances in the place of products.
    """

    name = "distance_correlation"
    title = "distance correlation"
    description = (
        "Correlation of distances between samples, as first published; near 1 for noise once features are many."
    )
    reference = "Székely, Rizzo and Bakirov 2007"
    estimator = BIASED
    pairwise = True
    streaming = "needs distances between all rows"
    invariances = OF_SHAPE
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Kernel:
        """Compute doubly centred distances."""
        return representation.shared(doubly_centred_distances)

    def compare(self, x: Kernel, y: Kernel) -> float:
        """Distance correlation of two kernels."""
        return math.sqrt(max(0.0, super().compare(x, y)))  # distance covariance is negative by rounding only

    def compare_all(self, xs: Sequence[Kernel], ys: Sequence[Kernel]) -> NDArray[np.float64]:
        """Distance correlation of every two kernels."""
        return np.sqrt(np.maximum(0.0, super().compare_all(xs, ys)))

    def mispaired(self, x: Kernel, y: Kernel, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Distance correlation with the samples of y in other orders."""
        return np.sqrt(np.maximum(0.0, super().mispaired(x, y, permutations)))

    def _left_out(self, x: Kernel, y: Kernel) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(0.0, super()._left_out(x, y)))


@register
class UnbiasedDistanceCorrelation(DebiasedAlignment):
    """(A.B) / sqrt((A.A)(B.B)) of U-centred distances A and B between samples: squared, and not clipped at 0.

    It estimates the square of distance correlation. It has no root: where nothing is related it is below 0 about every
    other time. It is debiased CKA with distances in the place of products, jackknife interval included.
    """

    name = "distance_correlation_unbiased"
    title = "distance correlation, squared, debiased"
    description = "Squared distance correlation from the unbiased estimator; can lie slightly below 0."
    reference = "Székely and Rizzo 2013; Székely and Rizzo 2014, partial distance correlation"
    pairwise = True
    streaming = "needs distances between all rows"
    invariances = OF_SHAPE
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Kernel:
        """Compute U-centred distances. Raises DegenerateInputError if all samples are equally far apart."""
        return representation.shared(u_centred_distances)


def doubly_centred_distances(representation: Representation) -> Kernel:
    """Distances less the means of their rows and columns. The biased HSIC of two such kernels is n^2 dCov^2. Shared."""
    d = representation.shared(distances)
    means = d.mean(dim=1)
    centred = (d - means[:, None]).sub_(means).add_(means.mean())
    diagonal = centred.diagonal().clone()
    centred.fill_diagonal_(0.0)
    return Kernel(centred, True, diagonal, centred.sum(dim=1))


def u_centred_distances(representation: Representation) -> Kernel:
    """U-centred distances, 0 on the diagonal. The unbiased HSIC of two is the unbiased squared distance covariance. Shared.

    HSIC would centre distances by itself; done here, their large common part never enters a product.
    Raises DegenerateInputError if all samples are equally far apart.
    """
    d = representation.shared(distances)
    centred = u_centre_(d.clone())
    if float(torch.linalg.vector_norm(centred)) <= _ROUNDING * float(torch.linalg.vector_norm(d)):
        raise DegenerateInputError("all samples are equally far apart: their distances correlate with nothing")
    return Kernel(centred, True, centred.new_zeros(representation.n), centred.sum(dim=1))
