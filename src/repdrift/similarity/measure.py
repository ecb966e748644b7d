"""What a similarity measure is, whatever it computes.

Adding one is adding a file to `measures/`: a subclass of `Measure` with its metadata, `prepare` and `compare`, under
`@register`. The tests in `tests/laws` then hold it to what its metadata declare.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from repdrift.core.registry import Registry
from repdrift.similarity.inputs import Representation

ORTHOGONAL = "rotation"
ISOTROPIC_SCALING = "scaling"
TRANSLATION = "translation"
FEATURE_PERMUTATION = "order of features"
PER_FEATURE_SCALING = "scaling of each feature"
SHARED_ROTATION = "rotation of both sides alike"

INVARIANCES = (
    ORTHOGONAL,
    ISOTROPIC_SCALING,
    TRANSLATION,
    FEATURE_PERMUTATION,
    PER_FEATURE_SCALING,
    SHARED_ROTATION,
)


class Interval(NamedTuple):
    """A confidence interval over samples, conditional on the two models."""

    low: float
    high: float


class Measure(ABC):
    """A similarity between paired representations x (n, p) and y (n, q).

    `prepare` does what depends on one side only, once; `compare` puts two prepared sides together. Arrays may be numpy
    or torch, of any floating type up to 64 bits; they are computed in float64 on the device where they lie.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]
    """Of the population value."""
    estimate_bounds: ClassVar[tuple[float, float] | None] = None
    """Of the value from a finite sample, where they are wider: an unbiased estimate leaves the population's bounds."""
    self_value: ClassVar[float] = 1.0
    """The value of a representation with itself."""
    reference: ClassVar[str]
    invariances: ClassVar[frozenset[str]]
    """Transformations of one side (of both, where it says so) that leave the value as it is."""
    cost: ClassVar[str]
    symmetric: ClassVar[bool] = True
    higher_is_similar: ClassVar[bool] = True
    same_width: ClassVar[bool] = False
    """Whether both sides must have the same number of features."""

    def __call__(self, x: Representation, y: Representation) -> float:
        """The measure of x (n, p) and y (n, q). Raises DataError, ShapeError, NonFiniteError, DegenerateInputError."""
        return self.compare(self.prepare(x), self.prepare(y))

    @abstractmethod
    def prepare(self, x: Representation) -> Any:
        """What depends on one side only. Raises DataError, ShapeError, NonFiniteError, DegenerateInputError."""

    @abstractmethod
    def compare(self, x: Any, y: Any) -> float:
        """The measure of two prepared sides. Raises ShapeError if they do not fit together."""

    def interval(self, x: Any, y: Any, confidence: float = 0.95) -> Interval | None:
        """A confidence interval of the value over samples, conditional on the models; None where none is offered.

        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        del x, y, confidence
        return None

    @abstractmethod
    def mispaired(self, x: Any, y: Any, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """The value with the rows of y permuted: (k,) for permutations of shape (k, n).

        Raises ShapeError or DataError unless each row of `permutations` is a permutation of the n samples.
        """


# Imported here, before `repdrift.similarity` binds the function `measures`: the first import of a folder puts the module
# under its name in the parent package, and later on that would take the function's place.
_FOLDER = import_module("repdrift.similarity.measures")
_REGISTRY: Registry[Measure] = Registry("measure", _FOLDER.__name__)


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
