"""RSA on correlation distances between samples, compared by their values."""

from __future__ import annotations

from repdrift.similarity.geometry.rsa import CORRELATION_INVARIANCES, Pattern, PatternRsa, correlation_pattern
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class CorrelationPearsonRsa(PatternRsa):
    """Pearson's correlation between the two sides' correlation distances (1 - r) of all pairs of samples."""

    name = "rsa_correlation_pearson"
    title = "RSA, correlation distance, Pearson"
    description = "Pearson's correlation of correlation distances between samples."
    ignores_zero_features = False
    reference = "Kriegeskorte et al. 2008"
    invariances = CORRELATION_INVARIANCES
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> Pattern:
        """The dissimilarities of all pairs."""
        return representation.shared(correlation_pattern)
