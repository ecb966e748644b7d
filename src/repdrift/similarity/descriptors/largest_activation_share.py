"""The top feature's share of the variance: how far one feature decides what unscaled measures see."""

from __future__ import annotations

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, TRANSLATION
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.spectrum import feature_squares


@register
class LargestActivationShare(Descriptor):
    """The variance of the most variable feature over the variance of all."""

    name = "largest_activation_share"
    title = "top feature's share"
    description = "Share of the variance that the most variable feature holds; over 0.5, one feature decides."
    bounds = (0.0, 1.0)
    reference = "see Timkey and van Schijndel 2021"
    invariances = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """Share of variance."""
        squares = representation.shared(feature_squares)
        return float(squares.max() / squares.sum())
