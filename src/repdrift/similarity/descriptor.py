"""Descriptors: numbers that say how a single representation is spread, or how large it is.

A new one is a subclass of `Descriptor` with its metadata and `describe`, under `@register`, in the file of its family in
`measures/`. The tests in `tests/laws` then hold it to what its metadata declare.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import Array, as_orders, require_paired
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation


class Descriptor(ABC):
    """A number that describes one representation x (n, p), whatever the order of its samples. Computed in float64."""

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]
    """Bounds of the value of any sample of at least 4 rows."""
    reference: ClassVar[str]
    invariances: ClassVar[frozenset[str]]
    """Transformations that leave the value as it is."""
    cost: ClassVar[str]
    needs_variation: ClassVar[bool] = False
    """True if it is undefined where all rows are equal."""

    def __call__(self, x: Array | Representation) -> float:
        """Describe x (n, p).

        Give a `Representation` to share what several descriptors and measures derive from it. Raises DataError, ShapeError
        or NonFiniteError if `x` is not an array of (samples, features); DegenerateInputError if the number is undefined.
        """
        representation = x if isinstance(x, Representation) else Representation(x, constant_allowed=True)
        if self.needs_variation and representation.is_constant:
            raise DegenerateInputError(
                f"all {representation.n} samples have the same representation: {self.name} is undefined"
            )
        return self.describe(representation)

    @abstractmethod
    def describe(self, representation: Representation) -> float:
        """Describe a checked representation. Raises DegenerateInputError if the number is undefined."""


@dataclass(frozen=True, eq=False)
class Described:
    """A number that describes one representation."""

    value: float
    n: int
    device: torch.device

    def permuted(self, order: Tensor) -> Described:
        """Return it unchanged: a descriptor does not depend on the order of samples."""
        del order
        return self


class DescriptorDifference(Measure):
    """|d(y) - d(x)| of a descriptor d. Mispairing leaves it as it is, so that it has no mispaired floor."""

    self_value = 0.0
    paired = False
    higher_is_similar = False

    @abstractmethod
    def describe(self, representation: Representation) -> float:
        """Compute the descriptor, or what differs from it by a constant. Raises DegenerateInputError if it is undefined."""

    def derive(self, representation: Representation) -> Described:
        """Compute the descriptor."""
        return Described(self.describe(representation), representation.n, representation.device)

    def compare(self, x: Described, y: Described) -> float:
        """Absolute difference of two descriptors."""
        require_paired(x.n, y.n)
        return abs(y.value - x.value)

    def mispaired(self, x: Described, y: Described, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """The value itself, once for every permutation."""
        require_paired(x.n, y.n)
        return np.full(len(as_orders(permutations, y.n, y.device)), self.compare(x, y))
