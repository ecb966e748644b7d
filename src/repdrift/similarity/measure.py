"""The interface of similarity measures: what each declares about itself, and what it computes.

A new one is a subclass of `Measure` with its metadata, `derive` and `compare`, under `@register`, in the file of its family
in `measures/`. The tests in `tests/laws` then hold it to what its metadata declare.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.confidence import Interval
from repdrift.core.errors import DataError
from repdrift.similarity.arrays import Array, as_orders, require_paired, require_same_device
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult

EXACT = "exact"
"""Streams exactly: the value follows from sums that add over batches and machines."""


class Prepared(Protocol):
    """The part of one representation of n samples that a measure needs."""

    @property
    def n(self) -> int:
        """Number of samples."""
        ...

    @property
    def device(self) -> torch.device:
        """Device that it lies on."""
        ...

    def permuted(self, order: Tensor) -> Any:
        """Put the samples in another order, a permutation (n,)."""
        ...


class Measure(ABC):
    """A measure of paired representations x (n, p) and y (n, q): a similarity, or a distance.

    `prepare` does what depends on one representation only, once; `compare` puts two prepared ones together. Arrays may be
    numpy or torch, of any floating type up to 64 bits. They are computed on the device where they lie, in float64 (but see
    `single_products`).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[Literal["representations", "predictions"]] = "representations"
    """Kind of x and y: rows of features; or rows of logits, one column a class."""
    bounds: ClassVar[tuple[float, float]]
    """Bounds of the population value."""
    estimate_bounds: ClassVar[tuple[float, float] | None] = None
    """Bounds of the value from a finite sample, where they are wider: an unbiased estimate leaves the population's bounds."""
    debiased: ClassVar[bool] = False
    """Whether the value from n independent samples has no bias that shrinks with n. Then a bias that the jackknife finds is that of alike samples."""
    self_value: ClassVar[float] = 1.0
    """Value of a representation with itself."""
    reference: ClassVar[str]
    invariances: ClassVar[frozenset[str]]
    """Transformations of one side (or of both, where the name says so) that leave the value as it is."""
    cost: ClassVar[str]
    symmetric: ClassVar[bool] = True
    higher_is_similar: ClassVar[bool] = True
    """False for a distance: its drift is the value itself."""
    same_width: ClassVar[bool] = False
    """True if both sides must have the same number of features."""
    ignores_zero_features: ClassVar[bool] = True
    """False if features that are zero in all samples change the value, as they do in a correlation over features."""
    paired: ClassVar[bool] = True
    """True if the value depends on which sample is which. If not, mispairing changes nothing and is no control."""
    held_out: ClassVar[bool] = False
    """True if it predicts samples that were left out. A representation with itself is then below `self_value` where n <= p."""
    pairwise: ClassVar[bool] = False
    """True if it makes a number for every two samples, however few the features are: tables n x n. Others do so only up to n <= p."""
    needs_more_samples: ClassVar[bool] = False
    """True if it has one value, whatever the data, unless samples outnumber features (the ranks of both sides, or of the
    predictors). Where they do not, it raises DegenerateInputError and says that it needs more samples than features."""
    streaming: ClassVar[str] = "needs all rows"
    """EXACT if `from_moments` gives it; otherwise the reason why not, in a few words."""
    single_products: ClassVar[bool] = False
    """True if large inputs of at most 32 bits are multiplied in float32 (errors below 1e-6 of the value, see docs)."""

    def __call__(self, x: Array | Representation, y: Array | Representation) -> float:
        """Compute the measure of x (n, p) and y (n, q).

        Raises DataError, ShapeError or NonFiniteError if an input is not such an array, or if the two do not fit together;
        DegenerateInputError if the measure is undefined for them.
        """
        left, right = self.prepare(x), self.prepare(y)
        require_same_device(left.device, right.device)
        return self.compare(left, right)

    def prepare(self, x: Array | Representation) -> Any:
        """Do what depends on one representation only.

        Give a `Representation` to share what several measures derive from it. Raises DataError, ShapeError or
        NonFiniteError if `x` is not an array of (samples, features); DegenerateInputError if the measure is undefined for it.
        """
        return self.derive(Representation.of(x))

    @abstractmethod
    def derive(self, representation: Representation) -> Prepared:
        """Compute what the measure needs of one representation. Raises DegenerateInputError if it is undefined."""

    @abstractmethod
    def compare(self, x: Any, y: Any) -> float:
        """Compute the measure of two prepared representations. Raises ShapeError if they do not fit together."""

    def compare_all(self, xs: Sequence[Any], ys: Sequence[Any]) -> NDArray[np.float64]:
        """Compute the measure of every prepared representation of `xs` with every one of `ys`: (len(xs), len(ys))."""
        return np.array([[self.compare(x, y) for y in ys] for x in xs], dtype=np.float64).reshape(len(xs), len(ys))

    def drift(self, value: float) -> float:
        """Turn a value into a drift: self value - value (1 - value) of a similarity, a distance as it is."""
        return self.self_value - value if self.higher_is_similar else value

    def interval(self, x: Any, y: Any, confidence: float = 0.95) -> Interval | None:
        """Confidence interval of the value over samples, conditional on the models; None if there is none.

        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        del x, y, confidence
        return None

    def without_one(self, x: Any, y: Any) -> NDArray[np.float64] | None:
        """Values with each of the n samples left out in turn: (n,); None if no closed form gives them all at once.

        Each is the value of the rows without the sample. `repdrift.similarity.uncertainty.delete_group` leaves out groups of
        samples for any measure. Raises DegenerateInputError if the value is undefined without one of the samples.
        """
        del x, y
        return None

    def resampled(self, x: Any, ys: Sequence[Any], weights: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """Values of x with each of `ys` in resamples of the samples: (len(ys), B); None if copies of a sample would count.

        weights: (B, n), how often each sample is drawn, from `resample_weights`. NaN where a side does not vary.
        """
        del x, ys, weights
        return None

    def mispaired(self, x: Any, y: Any, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Values with the rows of y in other orders: (k,) for permutations of shape (k, n).

        Raises ShapeError or DataError unless each row of `permutations` is a permutation of the n samples.
        """
        require_paired(x.n, y.n)
        orders = as_orders(permutations, y.n, y.device)
        return np.array([self.compare(x, y.permuted(order)) for order in orders], dtype=np.float64)

    def from_moments(self, result: PairedResult) -> float:
        """Compute the value from streamed sums. Raises DataError, which says why, if sums do not give it."""
        del result
        raise DataError(
            f"measure {self.name!r} does not follow from streamed sums: it {self.streaming}; compute it from the rows"
        )
