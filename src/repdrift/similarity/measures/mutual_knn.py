"""Mutual nearest neighbours: the share of a sample's neighbours that are its neighbours on both sides."""

from __future__ import annotations

from torch import Tensor

from repdrift.similarity.geometry.neighbours import Neighbourhoods, NeighbourMeasure, Overlap, some_nearest_neighbours
from repdrift.similarity.measure import register
from repdrift.similarity.representation import Representation


@register
class MutualNearestNeighbours(NeighbourMeasure):
    """The mean over samples of |N_k(x_i) & N_k(y_i)| / k, for the k = 10 nearest by cosine of raw rows.

    About k / (n - 1) for unrelated representations. Samples that tie for the last places count in part. The paper's program
    also clips large activations before it scales rows to length 1; nothing is clipped here.
    Raises DegenerateInputError for fewer than 12 samples, whose neighbours are all others whatever the data.
    """

    name = "mutual_knn"
    title = "mutual nearest neighbours"
    description = (
        "Share of the 10 nearest neighbours (cosine, not centred) that both sides have; noise gives 10 / (n - 1)."
    )
    reference = "Huh et al. 2024, appendix A"

    def derive(self, representation: Representation) -> Neighbourhoods:
        """The nearest neighbours."""
        return representation.shared(some_nearest_neighbours)

    def per_sample(self, overlap: Overlap) -> Tensor:
        """The share that is common."""
        return overlap.shared.sum(dim=1) / overlap.k
