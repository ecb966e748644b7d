"""Pooling over real tokens: from (batch, tokens, features) to one row a sample, or one a token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.core.records.representation_set import Pooling

POOLINGS: tuple[Pooling, ...] = ("mean", "last", "first", "cls", "mean_skip_first", "tokens")

Pool = Callable[[Tensor], Tensor]


def pool_for_batch(pooling: Pooling, attention_mask: Tensor) -> Pool:
    """The pooling of one batch as a function of a hidden state, prepared once and used for every layer.

    attention_mask: (b, t), 1 on real tokens, padding on either side. The function takes (b, t, d) and gives float32
    (b, d), or (real tokens, d) in the order of the samples for `tokens`.
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
        return lambda hidden: hidden[mask].float()
    rows = torch.arange(mask.shape[0], device=mask.device)
    if pooling == "last":
        positions = mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)
        return lambda hidden: hidden[rows, positions].float()
    first = mask.int().argmax(dim=1)
    if pooling in ("first", "cls"):
        return lambda hidden: hidden[rows, first].float()
    if pooling == "mean_skip_first":
        mask = mask.clone()
        mask[rows, first] = False
    # One batched product a layer: the mean costs next to nothing beside the block that made the hidden state.
    weights = (mask.float() / mask.sum(dim=1, keepdim=True)).unsqueeze(1)

    def mean(hidden: Tensor) -> Tensor:
        pooled = torch.bmm(weights, hidden.float()).squeeze(1)
        if not bool(torch.isfinite(pooled).all()):
            # 0 x NaN is NaN: what stands on padding must not count, so take it out and pool again.
            pooled = torch.bmm(weights, hidden.float().masked_fill(~mask.unsqueeze(2), 0.0)).squeeze(1)
        return pooled

    return mean
