"""The largest activation: a sign of massive activations, which dominate whatever is not scaled."""

from __future__ import annotations

import math

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.measure import FEATURE_PERMUTATION
from repdrift.similarity.representation import Representation


@register
class LargestActivation(Descriptor):
    """The largest |x| of any sample and feature."""

    name = "largest_activation"
    title = "largest activation"
    description = "Largest absolute number of any sample and feature."
    bounds = (0.0, math.inf)
    reference = "Sun et al. 2024"
    invariances = frozenset({FEATURE_PERMUTATION})
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Largest |x|."""
        return float(representation.given.abs().max())
