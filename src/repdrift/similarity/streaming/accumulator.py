"""Streaming of one layer: the state of `paired` behind an object with methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from repdrift.similarity.streaming.paired import PairedMoments, finalize, from_dict, init, merge, to_dict, update
from repdrift.similarity.streaming.result import PairedResult


class PairedAccumulator:
    """Sums of one base model against K tuned models, which are fed the same samples in the same order.

    product_dtype: products in float32, added to float64 sums; or in float64, which takes twice as long.
    """

    def __init__(self, n_tuned: int = 1, *, product_dtype: torch.dtype = torch.float32) -> None:
        """Raises ConfigError if there is no tuned model, or if the products are neither float32 nor float64."""
        self._moments = init(n_tuned, product_dtype=product_dtype)

    @property
    def n_tuned(self) -> int:
        """Number of tuned models."""
        return self._moments.n_tuned

    @property
    def product_dtype(self) -> torch.dtype:
        """Type of the products."""
        return self._moments.product_dtype

    @property
    def n(self) -> int:
        """Number of rows so far."""
        return self._moments.n

    def update(self, x: Tensor, ys: Sequence[Tensor]) -> None:
        """Add base rows x (t, p) and tuned rows ys[k] (t, p). If this raises, nothing was added.

        Raises ShapeError, DataError or NonFiniteError if the batch does not fit (`require_batch`).
        """
        update(self._moments, x, ys)

    def merge(self, other: PairedAccumulator) -> PairedAccumulator:
        """Return a new accumulator that holds the rows of both; both stay as they are.

        The order of merges does not matter, and an empty accumulator changes nothing. Raises ConfigError if the two were
        made with different settings; ShapeError if they have different numbers of features.
        """
        return self._holding(merge(self._moments, other._moments))

    def result(self, k: int = 0) -> PairedResult:
        """Compare the base with tuned model k. Raises ShapeError if there are fewer than 4 rows, or no model k."""
        return finalize(self._moments, k)

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors and plain values: write it with `torch.save`, read it with `weights_only=True`.

        The tensors are the accumulator's own, not copies: save them, or copy them, before the next update.
        """
        return to_dict(self._moments)

    @classmethod
    def from_state_dict(cls, saved: Mapping[str, Any], device: torch.device | str | None = None) -> PairedAccumulator:
        """Make an accumulator from what `state_dict` gave, on `device` if one is given.

        Raises DataError if `saved` is not such a state.
        """
        return cls._holding(from_dict(saved, device))

    @classmethod
    def _holding(cls, moments: PairedMoments) -> PairedAccumulator:
        made = cls(moments.n_tuned, product_dtype=moments.product_dtype)
        made._moments = moments
        return made
