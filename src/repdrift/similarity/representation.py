"""A representation that is checked once; everything that measures derive from it is computed at most once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import Array, as_floats, centred, in_range

T = TypeVar("T")

_FAINTEST = 2.0**-240
"""Fourth powers of deviations smaller than this all but leave float64."""


class Representation:
    """A representation (n, p): the numbers of one model in one layer, or its logits, for n samples.

    Derived quantities are functions of it. `shared` keeps what they return, so that a grid over many measures computes
    each of them once: `x.shared(representation_kernel)`. Functions that are meant for it say "Shared." What is kept is never
    changed in place.
    """

    def __init__(self, x: Array, *, constant_allowed: bool = False) -> None:
        """Check an array of (samples, features).

        Raises DataError, ShapeError or NonFiniteError if it is none (`as_floats`); DegenerateInputError if all rows are
        equal, unless that is allowed.
        """
        self.given: Tensor = as_floats(x)
        """The array as it came: of its own floating type, on its device."""
        self._shared: dict[Callable[[Representation], Any], Any] = {}
        if not constant_allowed and self.is_constant:
            raise DegenerateInputError(f"all {self.n} samples have the same representation: similarity is undefined")

    @classmethod
    def of(cls, x: Array | Representation) -> Representation:
        """Return `x` itself if it is a representation already; check it otherwise."""
        return x if isinstance(x, Representation) else cls(x)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.given.shape[0])

    @property
    def p(self) -> int:
        """Number of features."""
        return int(self.given.shape[1])

    @property
    def device(self) -> torch.device:
        """Device that it lies on, and that everything is computed on."""
        return self.given.device

    @property
    def is_constant(self) -> bool:
        """True if all rows are equal."""
        x = self.given
        return torch.equal(x[0], x[-1]) and bool((x == x[:1]).all())

    @property
    def exact(self) -> Tensor:
        """(n, p) in float64. Do not change it: it may be the array that was given."""
        return self.shared(_exact)

    @property
    def scaled(self) -> Tensor:
        """(n, p) in float64, times a power of two if fourth powers would overflow. For scale-invariant measures."""
        return self.shared(_scaled)

    @property
    def centred(self) -> Tensor:
        """`scaled` minus its column means. For measures that neither scale nor translation changes.

        Raises DegenerateInputError if all that varies vanishes beside the features that do not.
        """
        return self.shared(_centred)

    def shared(self, derive: Callable[[Representation], T]) -> T:
        """Return `derive(self)`, computed at most once."""
        if derive not in self._shared:
            self._shared[derive] = derive(self)
        return cast(T, self._shared[derive])


def _exact(representation: Representation) -> Tensor:
    return representation.given.to(torch.float64)


def _scaled(representation: Representation) -> Tensor:
    return in_range(representation.exact)


def _centred(representation: Representation) -> Tensor:
    deviations = centred(representation.scaled)
    low, high = torch.aminmax(deviations)
    if float(torch.maximum(-low, high)) < _FAINTEST:
        raise DegenerateInputError(
            f"what varies over the {representation.n} samples is too small beside the largest number, which does not vary: "
            "leave the features that do not vary out"
        )
    return deviations
