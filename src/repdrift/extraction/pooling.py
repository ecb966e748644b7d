"""Pooling over real tokens: from (batch, tokens, features) to one row a sample, or one a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.core.records.representation_set import Pooling

POOLINGS: tuple[Pooling, ...] = ("mean", "last", "first", "cls", "mean_skip_first", "tokens")


@dataclass(frozen=True)
class Pool:
    """The pooling of one batch, prepared once and used for every layer.

    Called with (b, t, d) it gives float32 (b, d), or (real tokens, d) in the order of the samples for `tokens`.
    """

    fast: Callable[[Tensor], Tensor]
    """One product a layer. Gives NaN where NaN or Inf stands on padding, since 0 x NaN is NaN."""
    careful: Callable[[Tensor], Tensor]
    """The same, whatever stands on padding; it copies the hidden state."""

    def __call__(self, hidden: Tensor) -> Tensor:
        """Pool; carefully only where the fast way gives no finite numbers."""
        pooled = self.fast(hidden)
        if self.careful is not self.fast and not bool(torch.isfinite(pooled).all()):
            return self.careful(hidden)
        return pooled


def pool_for_batch(pooling: Pooling, attention_mask: Tensor) -> Pool:
    """The pooling of one batch.

    attention_mask: (b, t), 1 on real tokens, padding on either side.
    Raises DataError if a sample has no real token (two are needed for `mean_skip_first`).
    """
    if pooling not in POOLINGS:
        raise UnknownNameError.of("pooling", pooling, POOLINGS)
    mask = attention_mask.bool()
    real = mask.sum(dim=1)
    needed = 2 if pooling == "mean_skip_first" else 1
    if bool((real < needed).any()):
        row = int((real < needed).nonzero()[0])
        raise DataError(
            f"pooling {pooling!r} needs {needed} real token(s); sample {row} of the batch has {int(real[row])}"
        )
    if pooling == "tokens":
        return _of_tokens(mask)
    rows = torch.arange(mask.shape[0], device=mask.device)
    if pooling == "last":
        return _at(rows, mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1))
    first = mask.int().argmax(dim=1)
    if pooling in ("first", "cls"):
        return _at(rows, first)
    if pooling == "mean_skip_first":
        mask = mask.clone()
        mask[rows, first] = False
    return _mean(mask)


def _of_tokens(mask: Tensor) -> Pool:
    if bool(mask.all()):  # nothing to leave out: a view does, and no row is copied

        def every(hidden: Tensor) -> Tensor:
            return hidden.reshape(-1, hidden.shape[2]).float()

        return Pool(every, every)
    places = mask.flatten().nonzero().squeeze(1)

    def real(hidden: Tensor) -> Tensor:
        return hidden.reshape(-1, hidden.shape[2]).index_select(0, places).float()

    return Pool(real, real)


def _at(rows: Tensor, positions: Tensor) -> Pool:
    def pick(hidden: Tensor) -> Tensor:
        return hidden[rows, positions].float()

    return Pool(pick, pick)


def _mean(mask: Tensor) -> Pool:
    # One batched product a layer: the mean costs next to nothing beside the block that made the hidden state.
    weights = (mask.float() / mask.sum(dim=1, keepdim=True)).unsqueeze(1)
    outside = ~mask.unsqueeze(2)

    def fast(hidden: Tensor) -> Tensor:
        return torch.bmm(weights, hidden.float()).squeeze(1)

    def careful(hidden: Tensor) -> Tensor:
        return torch.bmm(weights, hidden.float().masked_fill(outside, 0.0)).squeeze(1)

    return Pool(fast, careful)
