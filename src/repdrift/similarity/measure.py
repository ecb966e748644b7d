"""What a similarity measure is, whatever it computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from repdrift.core.registry import Registry
from repdrift.similarity.inputs import Representation

ORTHOGONAL = "rotation"
ISOTROPIC_SCALING = "scaling"
TRANSLATION = "translation"
PER_FEATURE_SCALING = "scaling of each feature"
SHARED_ROTATION = "rotation of both sides alike"

INVARIANCES = (ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, PER_FEATURE_SCALING, SHARED_ROTATION)


@dataclass(frozen=True)
class Interval:
    """A confidence interval over samples, conditional on the two models."""

    low: float
    high: float


class Measure(ABC):
    """A similarity between paired representations x (n, p) and y (n, q).

    `prepare` does what depends on one side only, once; `compare` puts two prepared sides together. Arrays may be numpy
    or torch, of any floating type; they are computed in float64 on the device where they lie.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]
    """Of the population value; an unbiased estimate can lie a little outside."""
    reference: ClassVar[str]
    invariances: ClassVar[frozenset[str]]
    """Transformations of one side (of both, where it says so) that leave the value as it is."""
    cost: ClassVar[str]
    symmetric: ClassVar[bool] = True
    higher_is_similar: ClassVar[bool] = True

    def __call__(self, x: Representation, y: Representation) -> float:
        """The measure of x (n, p) and y (n, q). Raises ShapeError, NonFiniteError, DegenerateInputError."""
        return self.compare(self.prepare(x), self.prepare(y))

    @abstractmethod
    def prepare(self, x: Representation) -> Any:
        """What depends on one side only. Raises ShapeError, NonFiniteError, DegenerateInputError."""

    @abstractmethod
    def compare(self, x: Any, y: Any) -> float:
        """The measure of two prepared sides. Raises ShapeError if they do not fit together."""

    def interval(self, x: Any, y: Any, confidence: float = 0.95) -> Interval | None:
        """A confidence interval of the value over samples, or None where none is offered."""
        del x, y, confidence
        return None

    @abstractmethod
    def mispaired(self, x: Any, y: Any, permutations: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """The value with the rows of y permuted: (k,) for permutations of shape (k, n)."""


_REGISTRY: Registry[Measure] = Registry("measure", "repdrift.similarity.measures")


def register(kind: type[Measure]) -> type[Measure]:
    """Class decorator that makes a measure known by its name."""
    _REGISTRY.add(kind.name, kind())
    return kind


def measure(name: str) -> Measure:
    """The measure of that name. Raises UnknownNameError with the nearest known name."""
    return _REGISTRY.get(name)


def measures() -> list[str]:
    """Names of all measures."""
    return _REGISTRY.names()


def as_index(permutation: NDArray[np.integer[Any]], device: torch.device) -> torch.Tensor:
    """One permutation as an index tensor."""
    return torch.as_tensor(np.asarray(permutation, dtype=np.int64), device=device)
