"""Differences of descriptors as measures: each side becomes one number, which samples are paired plays no part."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.similarity.inputs import as_orders, require_paired
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation


@dataclass(frozen=True, eq=False)
class Described:
    """A number that describes one side."""

    value: float
    n: int
    device: torch.device

    def permuted(self, order: Tensor) -> Described:
        """The same: a descriptor does not depend on the order of samples."""
        del order
        return self


class DescriptorDifference(Measure):
    """|d(y) - d(x)| of a descriptor d. It has no mispaired floor: mispairing leaves it as it is."""

    self_value = 0.0
    paired = False
    higher_is_similar = False

    @abstractmethod
    def describe(self, representation: Representation) -> float:
        """The descriptor of a side, or what differs from it by a constant. Raises DegenerateInputError likewise."""

    def derive(self, representation: Representation) -> Described:
        """The descriptor."""
        return Described(self.describe(representation), representation.n, representation.device)

    def compare(self, x: Described, y: Described) -> float:
        """Absolute difference."""
        require_paired(x.n, y.n)
        return abs(y.value - x.value)

    def mispaired(self, x: Described, y: Described, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """The value, for every permutation."""
        require_paired(x.n, y.n)
        return np.full(len(as_orders(permutations, y.n, y.device)), self.compare(x, y))
