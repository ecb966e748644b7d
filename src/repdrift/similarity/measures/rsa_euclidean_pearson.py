"""RSA on Euclidean distances between samples, compared by their values."""

from __future__ import annotations

from repdrift.similarity.geometry.rsa import EUCLIDEAN_INVARIANCES, Pattern, PatternRsa, euclidean_pattern
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class EuclideanPearsonRsa(PatternRsa):
    """Pearson's correlation between the two sides' Euclidean distances of all pairs of samples."""

    name = "rsa_euclidean_pearson"
    title = "RSA, Euclidean distance, Pearson"
    description = "Pearson's correlation of Euclidean distances between samples."
    reference = "Kriegeskorte et al. 2008"
    invariances = EUCLIDEAN_INVARIANCES
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """The dissimilarities of all pairs."""
        return representation.shared(euclidean_pattern)
