"""Anisotropy: how much all rows point the same way."""

from __future__ import annotations

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.geometry.directions import isotropic_share
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL
from repdrift.similarity.representation import Representation


@register
class Anisotropy(Descriptor):
    """The mean cosine between two different samples, over all pairs, in closed form.

    Departs from the source, which draws pairs at random.
    """

    name = "anisotropy"
    title = "mean cosine of pairs"
    description = "Mean cosine between two different samples, over all pairs of raw rows; 0 = no common direction."
    bounds = (-1 / 3, 1.0)  # -1 / (n - 1) at most, of 4 samples
    reference = "Ethayarajh 2019"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION})
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Mean cosine. Raises DegenerateInputError naming a row of zeros."""
        return 1 - representation.shared(isotropic_share)
