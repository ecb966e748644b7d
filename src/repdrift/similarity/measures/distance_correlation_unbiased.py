"""Bias-corrected distance correlation: about 0 for unrelated representations, whatever the number of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.similarity.kernels.energy import u_centred_distances
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.measure import Measure, register
from repdrift.similarity.measures.cka import DebiasedLinearCka
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class UnbiasedDistanceCorrelation(DebiasedLinearCka):
    """(A.B) / sqrt((A.A)(B.B)) of U-centred distances A and B between samples: squared, and not clipped at 0.

    It estimates the square of distance correlation; a root it cannot have, being below 0 about every other time where
    nothing is related. It is debiased CKA with distances in the place of products, jackknife interval included.
    """

    name = "distance_correlation_unbiased"
    title = "distance correlation, squared, debiased"
    description = "Squared distance correlation from the unbiased estimator; can lie slightly below 0."
    reference = "Székely and Rizzo 2013; Székely and Rizzo 2014, partial distance correlation"
    streaming = "needs distances between all rows"
    single_products = False
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Kernel:
        """U-centred distances. Raises DegenerateInputError if all samples are equally far apart."""
        return representation.shared(u_centred_distances)

    def from_moments(self, result: PairedResult) -> float:
        """Raises DataError: not to be had from sums."""
        return Measure.from_moments(self, result)
