"""What a similarity measure is, whatever it computes.

Adding one is adding a file to `measures/`: a subclass of `Measure` with its metadata, `derive` and `compare`, under
`@register`. The tests in `tests/laws` then hold it to what its metadata declare.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DataError
from repdrift.core.registry import Registry
from repdrift.similarity.inputs import Array, as_orders, require_paired, require_same_device
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult

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


EXACT = "exact"
"""Streams exactly: the value follows from moments that add over batches and machines."""


class Interval(NamedTuple):
    """A confidence interval over samples, conditional on the two models."""

    low: float
    high: float


class Prepared(Protocol):
    """One prepared side: whatever a measure needs of it, of n samples, on a device."""

    @property
    def n(self) -> int:
        """Samples."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        ...

    def permuted(self, order: Tensor) -> Any:
        """The same with its samples in another order, a permutation (n,)."""
        ...


class Measure(ABC):
    """A measure of paired representations x (n, p) and y (n, q): a similarity, or a distance.

    `prepare` does what depends on one side only, once; `compare` puts two prepared sides together. Arrays may be numpy
    or torch, of any floating type up to 64 bits; they are computed on the device where they lie, in float64 (but see
    `single_products`).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[Literal["representations", "predictions"]] = "representations"
    """What x and y are: rows of features, or rows of logits, one column a class."""
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
    """False for a distance: its drift is the value itself."""
    same_width: ClassVar[bool] = False
    """Whether both sides must have the same number of features."""
    ignores_zero_features: ClassVar[bool] = True
    """Whether features that are zero in all samples leave the value as it is; a correlation over features does not."""
    paired: ClassVar[bool] = True
    """Whether it depends on which sample is which. Where it does not, mispairing changes nothing and is no control."""
    held_out: ClassVar[bool] = False
    """Whether it predicts samples that were left out: below `self_value` for a representation with itself where n <= p."""
    needs_more_samples: ClassVar[bool] = False
    """Whether it has one value, whatever the data, unless samples outnumber features (the ranks of both sides, or of the predictors);
    where they do not, it raises DegenerateInputError saying that it needs more samples than features."""
    streaming: ClassVar[str] = "needs all rows"
    """EXACT if `from_moments` gives it; otherwise why not, in a few words."""
    single_products: ClassVar[bool] = False
    """Whether large inputs of at most 32 bits are multiplied in float32 (errors below 1e-6 of the value, see docs)."""

    def __call__(self, x: Array | Representation, y: Array | Representation) -> float:
        """The measure of x (n, p) and y (n, q). Raises DataError, ShapeError, NonFiniteError, DegenerateInputError."""
        left, right = self.prepare(x), self.prepare(y)
        require_same_device(left.device, right.device)
        return self.compare(left, right)

    def prepare(self, x: Array | Representation) -> Any:
        """What depends on one side only. Raises DataError, ShapeError, NonFiniteError, DegenerateInputError.

        Give a `Representation` to share what several measures derive from one representation.
        """
        return self.derive(Representation.of(x))

    @abstractmethod
    def derive(self, representation: Representation) -> Prepared:
        """What the measure needs of a checked side. Raises DegenerateInputError where it is undefined."""

    @abstractmethod
    def compare(self, x: Any, y: Any) -> float:
        """The measure of two prepared sides. Raises ShapeError if they do not fit together."""

    def compare_all(self, xs: Sequence[Any], ys: Sequence[Any]) -> NDArray[np.float64]:
        """The measure of every prepared side of `xs` with every one of `ys`: (len(xs), len(ys))."""
        return np.array([[self.compare(x, y) for y in ys] for x in xs], dtype=np.float64).reshape(len(xs), len(ys))

    def drift(self, value: float) -> float:
        """How far apart a value is: 1 - value of a similarity (its self value - value), a distance as it is."""
        return self.self_value - value if self.higher_is_similar else value

    def interval(self, x: Any, y: Any, confidence: float = 0.95) -> Interval | None:
        """A confidence interval of the value over samples, conditional on the models; None where none is offered.

        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        del x, y, confidence
        return None

    def without_one(self, x: Any, y: Any) -> NDArray[np.float64] | None:
        """The value with each of the n samples left out in turn: (n,); None where no closed form gives it at once.

        As if the rows without the sample had been given. `repdrift.similarity.uncertainty.delete_group` has any measure without any group.
        Raises DegenerateInputError where the value is undefined without one of the samples.
        """
        del x, y
        return None

    def resampled(self, x: Any, ys: Sequence[Any], weights: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """The value of x with each of `ys` in resamples of the samples: (len(ys), B); None where copies of a sample would count.

        weights: (B, n), how often each sample is drawn, as `resample_weights` gives them. NaN where a side does not vary.
        """
        del x, ys, weights
        return None

    def mispaired(self, x: Any, y: Any, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """The value with the rows of y permuted: (k,) for permutations of shape (k, n).

        Raises ShapeError or DataError unless each row of `permutations` is a permutation of the n samples.
        """
        require_paired(x.n, y.n)
        orders = as_orders(permutations, y.n, y.device)
        return np.array([self.compare(x, y.permuted(order)) for order in orders], dtype=np.float64)

    def from_moments(self, result: PairedResult) -> float:
        """The value from streamed sums. Raises DataError, saying why, where sums do not give it."""
        del result
        raise DataError(f"measure {self.name!r} does not follow from streamed sums: it {self.streaming}; keep the rows")


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


def measures(inputs: Literal["representations", "predictions"] | None = None) -> list[str]:
    """Names of all measures, or of those of representations or of predictions, in alphabetical order."""
    return sorted(m.name for m in _REGISTRY if inputs in (None, m.inputs))
