"""Distance correlation: whether samples that are far apart on one side are so on the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.kernels.energy import doubly_centred_distances
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.measure import Measure, register
from repdrift.similarity.measures.cka_biased import BiasedLinearCka
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class DistanceCorrelation(BiasedLinearCka):
    """dCov / sqrt(dVar_x dVar_y) of Euclidean distances between samples: not squared.

    The root of biased CKA with doubly centred distances in the place of products.
    """

    name = "distance_correlation"
    title = "distance correlation"
    description = (
        "Correlation of distances between samples, as first published; near 1 for noise once features are many."
    )
    reference = "Székely, Rizzo and Bakirov 2007"
    streaming = "needs distances between all rows"
    single_products = False
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Kernel:
        """Doubly centred distances."""
        return representation.shared(doubly_centred_distances)

    def compare(self, x: Kernel, y: Kernel) -> float:
        """Distance correlation of two kernels."""
        return math.sqrt(max(0.0, super().compare(x, y)))  # distance covariance is negative by rounding only

    def compare_all(self, xs: Sequence[Kernel], ys: Sequence[Kernel]) -> NDArray[np.float64]:
        """Distance correlation of every two kernels."""
        return np.sqrt(np.maximum(0.0, super().compare_all(xs, ys)))

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """As of biased CKA. Raises DegenerateInputError likewise."""
        found = super().without_one(x, y)
        return None if found is None else np.sqrt(np.maximum(0.0, found))

    def mispaired(self, x: Kernel, y: Kernel, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Distance correlation with the samples of y in other orders."""
        return np.sqrt(np.maximum(0.0, super().mispaired(x, y, permutations)))

    def from_moments(self, result: PairedResult) -> float:
        """Raises DataError: not to be had from sums."""
        return Measure.from_moments(self, result)
