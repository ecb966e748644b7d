"""Rank similarity: whether common neighbours are near in the same order, the nearest counting most."""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.similarity.geometry.neighbours import NeighbourMeasure, Overlap, harmonic_numbers
from repdrift.similarity.measure import register


@register
class RankSimilarity(NeighbourMeasure):
    """The mean over samples of sum_j 2 / ((1 + |r_j - s_j|) (r_j + s_j)) / (1 + 1/2 + ... + 1/K), 0 where K = 0.

    The sum is over the K common ones of the k = 10 nearest neighbours by cosine of raw rows (of fewer than 11 samples, all
    others); r_j and s_j are their ranks on the two sides, 1 for the nearest. The measure sees the common neighbours only:
    a single one, if it is the nearest on both sides, gives 1. Read it beside `mutual_knn`.
    Samples that tie for the last places count in part, and between whole K the sum of reciprocals is on a straight line.
    """

    name = "rank_similarity"
    title = "rank similarity of neighbours"
    description = "Agreement in rank of the common ones of the 10 nearest neighbours (cosine, not centred)."
    reference = "Wang et al. 2020; Klabunde et al. 2023"

    def per_sample(self, overlap: Overlap) -> Tensor:
        """The weighted agreement of ranks."""
        r, s = overlap.rank, overlap.other_rank
        agreement = (overlap.shared * 2 / ((1 + (r - s).abs()) * (r + s))).sum(dim=1)
        common = overlap.shared.sum(dim=1)
        # One more than k, so that the last whole number has a next one too.
        harmonic = harmonic_numbers(overlap.k + 1, common)
        whole = common.floor().to(torch.int64)
        most = torch.lerp(harmonic[whole], harmonic[whole + 1], common - whole)
        return torch.where(common > 0, agreement / most, 0.0)
