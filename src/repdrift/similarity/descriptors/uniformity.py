"""Uniformity: how evenly rows are spread over all directions."""

from __future__ import annotations

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.geometry.directions import uniformity
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL
from repdrift.similarity.representation import Representation


@register
class Uniformity(Descriptor):
    """log of the mean of exp(-2 |u - v|^2) over pairs of different samples at length 1: the loss of the source, t = 2.

    Lower is more uniform. Nothing lies below -4 in the population; of n samples, below -4 n / (n - 1).
    """

    name = "uniformity"
    title = "uniformity of directions"
    description = "log mean exp(-2 d^2) over pairs of raw rows at length 1; 0 = all alike, near -4 = spread evenly."
    bounds = (-16 / 3, 0.0)
    reference = "Wang and Isola 2020, section 4.1"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION})
    cost = "n^2 p"

    def describe(self, representation: Representation) -> float:
        """From all pairs. Raises DegenerateInputError naming a row of zeros."""
        return representation.shared(uniformity)
