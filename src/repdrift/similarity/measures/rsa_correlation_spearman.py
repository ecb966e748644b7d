"""RSA on correlation distances between samples, compared by their ranks."""

from __future__ import annotations

from repdrift.similarity.geometry.rsa import CORRELATION_INVARIANCES, Pattern, PatternRsa, correlation_ranks
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class CorrelationSpearmanRsa(PatternRsa):
    """Spearman's rank correlation between the two sides' correlation distances (1 - r) of all pairs of samples."""

    name = "rsa_correlation_spearman"
    title = "RSA, correlation distance, Spearman"
    description = "Spearman's rank correlation of correlation distances between samples; ties have their mean rank."
    ignores_zero_features = False
    reference = "Kriegeskorte et al. 2008"
    invariances = CORRELATION_INVARIANCES
    cost = "n^2 (p + log n) to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """The ranks of all pairs' dissimilarities."""
        return representation.shared(correlation_ranks)
