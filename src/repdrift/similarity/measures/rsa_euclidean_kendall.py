"""RSA on Euclidean distances between samples, compared by the order of every two."""

from __future__ import annotations

from repdrift.similarity.geometry.rsa import EUCLIDEAN_INVARIANCES, KendallRsa, PairOrder, euclidean_order
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class EuclideanKendallRsa(KendallRsa):
    """Kendall's tau-b between the two sides' Euclidean distances of all pairs of samples."""

    name = "rsa_euclidean_kendall"
    title = "RSA, Euclidean distance, Kendall's tau-b"
    description = "Kendall's tau-b of Euclidean distances between samples: agreement in the order of every two pairs."
    reference = "Kriegeskorte et al. 2008; Kendall 1945; Knight 1966"
    invariances = EUCLIDEAN_INVARIANCES
    cost = "n^2 (p + log n) to prepare; n^2 log n to compare"

    def derive(self, representation: Representation) -> PairOrder:
        """The order of all pairs' dissimilarities."""
        return representation.shared(euclidean_order)
