"""What a descriptor is: one number that says how a single representation is spread, or how large it is.

Adding one is adding a file to `descriptors/`: a subclass of `Descriptor` with its metadata and `describe`, under
`@register`. The tests in `tests/laws` then hold it to what its metadata declare.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import ClassVar

from repdrift.core.errors import DegenerateInputError
from repdrift.core.registry import Registry
from repdrift.similarity.inputs import Array
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    PER_FEATURE_SCALING,
    TRANSLATION,
)
from repdrift.similarity.representation import Representation

DESCRIPTOR_INVARIANCES = (ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, PER_FEATURE_SCALING)
"""Those that make sense of one representation."""


class Descriptor(ABC):
    """A number that describes one representation x (n, p), whatever the order of its samples. Computed in float64."""

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]
    """Of any sample of at least 4 rows."""
    reference: ClassVar[str]
    invariances: ClassVar[frozenset[str]]
    """Transformations that leave the value as it is."""
    cost: ClassVar[str]
    needs_variation: ClassVar[bool] = False
    """Whether it is undefined where all rows are equal."""

    def __call__(self, x: Array | Representation) -> float:
        """Of x (n, p). Raises DataError, ShapeError, NonFiniteError; DegenerateInputError where it is undefined.

        Give a `Representation` to share what several descriptors and measures derive from one representation.
        """
        representation = x if isinstance(x, Representation) else Representation(x, constant_allowed=True)
        if self.needs_variation and representation.is_constant:
            raise DegenerateInputError(
                f"all {representation.n} samples have the same representation: {self.name} is undefined"
            )
        return self.describe(representation)

    @abstractmethod
    def describe(self, representation: Representation) -> float:
        """Of a checked side. Raises DegenerateInputError where it is undefined."""


# Imported here for the reason given in `measure`: later on the folder would take the place of the function `descriptors`.
_FOLDER = import_module("repdrift.similarity.descriptors")
_REGISTRY: Registry[Descriptor] = Registry("descriptor", _FOLDER.__name__)


def register(kind: type[Descriptor]) -> type[Descriptor]:
    """Class decorator that makes a descriptor known by its name."""
    _REGISTRY.add(kind.name, kind())
    return kind


def descriptor(name: str) -> Descriptor:
    """The descriptor of that name. Raises UnknownNameError with the nearest known name."""
    return _REGISTRY.get(name)


def descriptors() -> list[str]:
    """Names of all descriptors, in alphabetical order."""
    return sorted(_REGISTRY.names())
