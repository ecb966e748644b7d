"""Difference of magnitudes: by how much the length of the mean row changed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from repdrift.similarity.descriptor_difference import DescriptorDifference
from repdrift.similarity.geometry.directions import length, magnitude
from repdrift.similarity.measure import EXACT, FEATURE_PERMUTATION, ORTHOGONAL, SHARED_ROTATION, register
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class MagnitudeDifference(DescriptorDifference):
    """| ||mean of y|| - ||mean of x|| |, in units of the activations."""

    name = "magnitude_difference"
    title = "difference of magnitudes"
    description = "By how much the length of the mean row changed, in units of the activations."
    bounds = (0.0, math.inf)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p"
    streaming = EXACT

    def describe(self, representation: Representation) -> float:
        """Length of the mean."""
        return representation.shared(magnitude)

    def from_moments(self, result: PairedResult) -> float:
        """From the means."""
        base, tuned = result.means
        return abs(length(tuned) - length(base))
