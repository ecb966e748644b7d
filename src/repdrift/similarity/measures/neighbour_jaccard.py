"""Jaccard similarity of the sets of nearest neighbours."""

from __future__ import annotations

from torch import Tensor

from repdrift.similarity.geometry.neighbours import Neighbourhoods, NeighbourMeasure, Overlap, some_nearest_neighbours
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class NeighbourJaccard(NeighbourMeasure):
    """The mean over samples of |N_k(x_i) & N_k(y_i)| / |N_k(x_i) | N_k(y_i)|, for the k = 10 nearest by cosine of raw rows.

    Samples that tie for the last places count in part: the sum of smaller weights over that of larger ones.
    Raises DegenerateInputError for fewer than 12 samples, whose neighbours are all others whatever the data.
    """

    name = "neighbour_jaccard"
    title = "Jaccard similarity of neighbours"
    description = "Common over all of the 10 nearest neighbours (cosine, not centred) that either side has."
    reference = "Wang et al. 2020; Klabunde et al. 2023"

    def derive(self, representation: Representation) -> Neighbourhoods:
        """The nearest neighbours."""
        return representation.shared(some_nearest_neighbours)

    def per_sample(self, overlap: Overlap) -> Tensor:
        """Common over all."""
        common = overlap.shared.sum(dim=1)
        return common / (2 * overlap.k - common)
