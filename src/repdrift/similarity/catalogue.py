"""The catalogue: all measures and descriptors by name. Each registers itself; files in `measures/` are found at the first look-up."""

from __future__ import annotations

from importlib import import_module
from typing import Literal, TypeVar

from repdrift.core.registry import Registry
from repdrift.similarity.descriptor import Descriptor
from repdrift.similarity.measure import Measure

Registered = TypeVar("Registered", bound=Measure | Descriptor)

# Imported here, before `repdrift.similarity` binds the function `measures`: the first import of a folder puts the module
# under its name in the parent package, and later on that would take the function's place.
_FOLDER = import_module("repdrift.similarity.measures").__name__
_MEASURES: Registry[Measure] = Registry("measure", _FOLDER)
_DESCRIPTORS: Registry[Descriptor] = Registry("descriptor", _FOLDER)


def register(kind: type[Registered]) -> type[Registered]:
    """Class decorator that makes a measure or a descriptor known by its name."""
    made = kind()
    if isinstance(made, Measure):
        _MEASURES.add(made.name, made)
    else:
        _DESCRIPTORS.add(made.name, made)
    return kind


def measure(name: str) -> Measure:
    """Look up a measure. Raises UnknownNameError, with the nearest known name, if there is none of that name."""
    return _MEASURES.get(name)


def measures(inputs: Literal["representations", "predictions"] | None = None) -> list[str]:
    """Names of all measures, or of those of representations or of predictions, in alphabetical order."""
    return sorted(m.name for m in _MEASURES if inputs in (None, m.inputs))


def descriptor(name: str) -> Descriptor:
    """Look up a descriptor. Raises UnknownNameError, with the nearest known name, if there is none of that name."""
    return _DESCRIPTORS.get(name)


def descriptors() -> list[str]:
    """Names of all descriptors, in alphabetical order."""
    return sorted(_DESCRIPTORS.names())
