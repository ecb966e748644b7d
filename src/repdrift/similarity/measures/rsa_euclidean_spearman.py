"""RSA on Euclidean distances between samples, compared by their ranks."""

from __future__ import annotations

from repdrift.similarity.geometry.rsa import EUCLIDEAN_INVARIANCES, Pattern, PatternRsa, euclidean_ranks
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class EuclideanSpearmanRsa(PatternRsa):
    """Spearman's rank correlation between the two sides' Euclidean distances of all pairs of samples."""

    name = "rsa_euclidean_spearman"
    title = "RSA, Euclidean distance, Spearman"
    description = "Spearman's rank correlation of Euclidean distances between samples; ties have their mean rank."
    reference = "Kriegeskorte et al. 2008"
    invariances = EUCLIDEAN_INVARIANCES
    cost = "n^2 (p + log n) to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """The ranks of all pairs' dissimilarities."""
        return representation.shared(euclidean_ranks)
