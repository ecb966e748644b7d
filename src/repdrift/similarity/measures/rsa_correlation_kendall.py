"""RSA on correlation distances between samples, compared by the order of every two."""

from __future__ import annotations

from repdrift.similarity.geometry.rsa import CORRELATION_INVARIANCES, KendallRsa, PairOrder, correlation_order
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class CorrelationKendallRsa(KendallRsa):
    """Kendall's tau-b between the two sides' correlation distances (1 - r) of all pairs of samples."""

    name = "rsa_correlation_kendall"
    title = "RSA, correlation distance, Kendall's tau-b"
    description = "Kendall's tau-b of correlation distances between samples: agreement in the order of every two pairs."
    ignores_zero_features = False
    reference = "Kriegeskorte et al. 2008; Kendall 1945; Knight 1966"
    invariances = CORRELATION_INVARIANCES
    cost = "n^2 (p + log n) to prepare; n^2 log n to compare"

    def derive(self, representation: Representation) -> PairOrder:
        """The order of all pairs' dissimilarities."""
        return representation.shared(correlation_order)
