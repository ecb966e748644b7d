"""Difference of uniformities: by how much the spread of the rows' directions changed."""

from __future__ import annotations

from repdrift.similarity.descriptor_difference import DescriptorDifference
from repdrift.similarity.geometry.directions import uniformity
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    register,
)
from repdrift.similarity.representation import Representation


@register
class UniformityDifference(DescriptorDifference):
    """|uniformity(y) - uniformity(x)|, of rows at length 1 and pairs of different samples.

    Departs from the survey, which takes rows of any length and counts each sample as a pair with itself.
    """

    name = "uniformity_difference"
    title = "difference of uniformities"
    description = "By how much log mean exp(-2 d^2) over pairs of raw rows at length 1 changed."
    bounds = (0.0, 4.0)
    estimate_bounds = (0.0, 16 / 3)  # of n samples 4 n / (n - 1)
    reference = "Wang and Isola 2020; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n^2 p"
    streaming = "needs distances between all rows"

    def describe(self, representation: Representation) -> float:
        """Uniformity."""
        return representation.shared(uniformity)
