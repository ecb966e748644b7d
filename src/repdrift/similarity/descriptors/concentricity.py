"""Concentricity: how closely rows point along their mean."""

from __future__ import annotations

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.geometry.directions import eccentricity
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL
from repdrift.similarity.representation import Representation


@register
class Concentricity(Descriptor):
    """The mean cosine between a sample and the mean of all samples."""

    name = "concentricity"
    title = "mean cosine to the mean"
    description = "Mean cosine between a sample's raw row and the mean row; 1 = all point the same way."
    bounds = (-1.0, 1.0)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION})
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Mean cosine. Raises DegenerateInputError naming a row of zeros, or where the mean row is zero."""
        return 1 - representation.shared(eccentricity)
