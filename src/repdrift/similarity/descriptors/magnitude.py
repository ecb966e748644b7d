"""Magnitude: how long the mean row is."""

from __future__ import annotations

import math

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.geometry.directions import magnitude
from repdrift.similarity.measure import FEATURE_PERMUTATION, ORTHOGONAL
from repdrift.similarity.representation import Representation


@register
class Magnitude(Descriptor):
    """The Euclidean length of the mean of all samples."""

    name = "magnitude"
    title = "length of the mean"
    description = "Euclidean length of the mean row, in units of the activations."
    bounds = (0.0, math.inf)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, FEATURE_PERMUTATION})
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Length of the mean."""
        return representation.shared(magnitude)
