"""Second-order cosine: whether a sample is as near to its neighbours on one side as it is on the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.geometry.dissimilarity import RESOLUTION
from repdrift.similarity.geometry.neighbours import COSINE_INVARIANCES, cosine_chords, nearest_neighbours
from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import Measure, register
from repdrift.similarity.representation import Representation


@dataclass(frozen=True, eq=False)
class NeighbourCosines:
    """Cosines of every two samples (n, n), and whether the second is a neighbour of the first (n, n)."""

    cosines: Tensor
    near: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.cosines.shape[0])

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.cosines.device

    def permuted(self, order: Tensor) -> NeighbourCosines:
        """The same with its samples in another order."""
        return NeighbourCosines(self.cosines[order][:, order], self.near[order][:, order])


@register
class SecondOrderCosine(Measure):
    """The mean over samples of cos(s_i, t_i): a sample's cosines s_i, t_i on the two sides to the neighbours of either.

    These are the union of its k = 10 nearest by cosine of raw rows on both sides (of fewer than 11 samples, all others),
    with all that tie for the last places. Where all vectors share a large mean all cosines are near 1, and so is the value,
    whatever the data.
    Raises DegenerateInputError naming a sample that is orthogonal to all these neighbours on a side.
    """

    name = "second_order_cosine"
    title = "second-order cosine"
    description = "Cosine between a sample's cosines to its neighbours (10 nearest on either side, not centred)."
    bounds = (-1.0, 1.0)
    reference = "Hamilton et al. 2016; Klabunde et al. 2023"
    streaming = "needs the neighbours of every sample among all"
    invariances = COSINE_INVARIANCES
    cost = "n^2 p to prepare; n^2 to compare"

    def derive(self, representation: Representation) -> NeighbourCosines:
        """Cosines, and which are those of neighbours. Raises DegenerateInputError naming a sample of zeros."""
        return representation.shared(_neighbour_cosines)

    def compare(self, x: NeighbourCosines, y: NeighbourCosines) -> float:
        """The mean cosine of cosines, as 1 - |u - v|^2 / 2 of unit vectors: exactly 1 for equal sides."""
        require_paired(x.n, y.n)
        either = x.near | y.near
        return 1 - float((_unit(x, either) - _unit(y, either)).square().sum()) / (2 * x.n)


def _neighbour_cosines(representation: Representation) -> NeighbourCosines:
    found, chords = representation.shared(nearest_neighbours), representation.shared(cosine_chords)
    near = found.weight.new_zeros((representation.n, representation.n)).scatter_(1, found.index, found.weight) > 0
    return NeighbourCosines(1 - chords.square() / 2, near)


def _unit(side: NeighbourCosines, either: Tensor) -> Tensor:
    """Each sample's cosines to the neighbours on either side, scaled to length 1; 0 elsewhere: (n, n)."""
    cosines = torch.where(either, side.cosines, 0.0)
    lengths = cosines.norm(dim=1, keepdim=True)
    if bool((lengths <= RESOLUTION).any()):
        sample = int((lengths.squeeze(1) <= RESOLUTION).nonzero()[0])
        raise DegenerateInputError(
            f"sample {sample} is orthogonal to all its neighbours: the direction of its cosines is undefined"
        )
    return cosines / lengths
