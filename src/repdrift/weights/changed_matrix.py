"""The change of one weight: the whole matrix, or the factors of an adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from repdrift.weights.weight_names import WeightName


@dataclass(frozen=True)
class MatrixFactors:
    """A change B A that is not formed: b (d_out, r) with the adapter's scaling in it, a (r, d_in), both float64 on the CPU."""

    b: Tensor
    a: Tensor

    @property
    def rank(self) -> int:
        """The number of columns of B, an upper bound of the change's rank."""
        return int(self.b.shape[1])


@dataclass(frozen=True)
class ChangedMatrix:
    """The change of one weight, outputs first: (d_out, d_in), or (n,) for a bias or a gain.

    Either `dense` or `factors` is set; `dense` is float32 or float64. base_shape: the shape of both, after turning. transposed:
    the module keeps the weight the other way round (GPT-2's linear layers, embeddings); nothing here is. read_base: reads the
    base model's weight, outputs first, in its stored type. note: what the change does not cover.
    """

    name: WeightName
    base_shape: tuple[int, ...]
    read_base: Callable[[], Tensor]
    dense: Tensor | None = None
    factors: MatrixFactors | None = None
    transposed: bool = False
    note: str | None = None

    @property
    def is_matrix(self) -> bool:
        """False for biases and gains, which have a size but no spectrum."""
        return len(self.base_shape) == 2

    def change(self) -> Tensor:
        """Returns the change as a whole matrix: forms B A for an adapter."""
        if self.dense is not None:
            return self.dense
        if self.factors is None:
            raise AssertionError("a change is whole or in factors")
        return self.factors.b @ self.factors.a


MatrixReader = Callable[[], ChangedMatrix]
"""Reads one weight of both models, and returns its change."""
