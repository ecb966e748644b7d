"""The number of directions that carry the differences of two models: from the singular values of the rows tuned - base."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.similarity.directions.differences import Differences
from repdrift.similarity.subspaces.principal import leading_count

SHARE = 0.9
"""The part of the squared differences that the counted directions carry."""


@dataclass(frozen=True)
class DirectionCount:
    """Directions of differences. carrying: the fewest that carry 90 % of their squares. most: how many there can be, min(n, p), one less centred.

    participation_ratio: (sum of variances)^2 / sum of squared variances; 1 where one direction carries all. top_share: that of the first one.
    """

    carrying: int
    most: int
    participation_ratio: float
    top_share: float


@dataclass(frozen=True)
class DirectionCounts:
    """Directions of the differences as they are, and without what all samples have in common. None: there are no such differences."""

    whole: DirectionCount | None
    centred: DirectionCount | None


def direction_counts(differences: Differences) -> DirectionCounts:
    """Counts directions. Differences no larger than the rounding of the numbers have none."""
    d = differences
    if d.are_rounding:
        return DirectionCounts(None, None)
    centred, most = d.centred, min(d.n, d.p)
    if d.n <= d.p:
        table = centred @ centred.T
        along = centred @ d.mean
        # Products of rows with their mean put back: exact where the mean is large beside what varies, and no second product of rows.
        whole = table + along[:, None] + along + d.mean.square().sum()
    else:
        table = centred.T @ centred
        whole = table + d.n * torch.outer(d.mean, d.mean)
    return DirectionCounts(_count(whole, most), None if d.are_one_shift else _count(table, min(d.n - 1, d.p)))


def _count(products: Tensor, most: int) -> DirectionCount:
    variances = torch.linalg.eigvalsh(products).clamp_(min=0).flip(0)  # below 0 there is only rounding
    total = variances.sum()
    return DirectionCount(
        carrying=leading_count(variances, SHARE),
        most=most,
        participation_ratio=float(total.square() / variances.square().sum()),
        top_share=float(variances[0] / total),
    )
