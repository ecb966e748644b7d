"""Difference of concentricities: by how much the rows' closeness to their mean direction changed."""

from __future__ import annotations

from repdrift.similarity.descriptor_difference import DescriptorDifference
from repdrift.similarity.geometry.directions import eccentricity
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    register,
)
from repdrift.similarity.representation import Representation


@register
class ConcentricityDifference(DescriptorDifference):
    """|concentricity(y) - concentricity(x)|."""

    name = "concentricity_difference"
    title = "difference of concentricities"
    description = "By how much the mean cosine between a sample's row and the mean row changed."
    bounds = (0.0, 2.0)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p"
    streaming = "needs the means before the first row"

    def describe(self, representation: Representation) -> float:
        """1 - concentricity: where all rows share a large mean, that is the part that has digits."""
        return representation.shared(eccentricity)
