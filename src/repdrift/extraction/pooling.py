"""Pooling over real tokens: from (batch, tokens, features) to one row for each sample, or for each token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.core.records.representation_set import SINK_POOLING, Pooling

POOLINGS: tuple[Pooling, ...] = ("mean", "last", "first", "cls", "mean_skip_first", "tokens")
"""Poolings that the attention mask determines; `mean_without_sinks` needs the sinks beside it."""


@dataclass(frozen=True)
class Pool:
    """The pooling of one batch, prepared once and used for every layer.

    Called with a hidden state (b, t, d), it returns float32 (b, d). For `tokens` it returns (real tokens, d), sample
    after sample.
    """

    fast: Callable[[Tensor], Tensor]
    """One product for each layer. It gives NaN where the padding holds NaN or Inf, because 0 x NaN is NaN."""
    careful: Callable[[Tensor], Tensor]
    """Gives the right numbers whatever the padding holds, but copies the hidden state."""

    def __call__(self, hidden: Tensor) -> Tensor:
        """Pool the fast way, and the careful way where the fast one does not give finite numbers."""
        pooled = self.fast(hidden)
        if self.careful is not self.fast and not bool(torch.isfinite(pooled).all()):
            return self.careful(hidden)
        return pooled


def owned_values(values: Tensor, hidden: Tensor) -> Tensor:
    """`values` in memory of their own: copied if they are a view of `hidden`, which the model may change in place."""
    is_view = values.untyped_storage().data_ptr() == hidden.untyped_storage().data_ptr()
    return values.clone() if is_view else values


def tokens_needed(pooling: Pooling) -> int:
    """The least number of real tokens of a sample that this pooling takes."""
    return 2 if pooling == "mean_skip_first" else 1


def pool_for_batch(
    pooling: Pooling,
    attention_mask: Tensor,
    sinks: Sequence[Sequence[int]] | None = None,
    *,
    among: Tensor | None = None,
) -> Pool:
    """Prepare the pooling of one batch.

    attention_mask: (b, t), 1 on real tokens, padding on either side. sinks: for `mean_without_sinks` and for each sample,
    the tokens to leave out, numbered among its real tokens; at least one real token is not among them. among: (b, t), 1 on the tokens
    that the pooling may take, such as those of a completion; None: all real tokens. `first` and `last` are the first and last of these;
    `mean_skip_first` leaves out the first real token of the sample.
    Raises UnknownNameError if there is no such pooling; DataError if a sample has no real token, or only one for
    `mean_skip_first`, if `mean_without_sinks` is asked for and the sinks are not given, or if no token is left to pool over.
    """
    if pooling not in (*POOLINGS, SINK_POOLING):
        raise UnknownNameError.of("pooling", pooling, (*POOLINGS, SINK_POOLING))
    mask = attention_mask.bool()
    real = mask.sum(dim=1)
    needed = tokens_needed(pooling)
    if bool((real < needed).any()):
        sample = int((real < needed).nonzero()[0])
        raise DataError(
            f"pooling {pooling!r} needs {needed} real token(s); sample {sample} of the batch has {int(real[sample])}"
        )
    samples = torch.arange(mask.shape[0], device=mask.device)
    if pooling == SINK_POOLING:
        mask = _without(mask, _given(sinks))
    if pooling == "mean_skip_first":
        mask = mask.clone()
        mask[samples, mask.int().argmax(dim=1)] = False
    if among is not None:
        mask = mask & among.to(mask.device).bool()
        _require_tokens_left(mask, pooling)
    if pooling == "tokens":
        return _all_tokens(mask)
    if pooling == "last":
        return _one_token(samples, mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1))
    if pooling in ("first", "cls"):
        return _one_token(samples, mask.int().argmax(dim=1))
    return _mean(mask)


def _require_tokens_left(mask: Tensor, pooling: Pooling) -> None:
    """Raises DataError if a sample of the batch has no token in (b, t) `mask`."""
    empty = (~mask.any(dim=1)).nonzero()
    if len(empty):
        why = "is an attention sink" if pooling == SINK_POOLING else "is left out by the pooling"
        raise DataError(
            f"sample {int(empty[0])} of the batch: every token of the part to pool over {why}, so that its row would be empty. Take pooling mean "
            "or last, pool over all tokens (pool_over), or leave the sample out."
        )


def _all_tokens(mask: Tensor) -> Pool:
    if bool(mask.all()):  # no padding to leave out: a view is enough, and nothing is copied

        def every(hidden: Tensor) -> Tensor:
            return hidden.reshape(-1, hidden.shape[2]).float()

        return Pool(every, every)
    positions = mask.flatten().nonzero().squeeze(1)

    def real(hidden: Tensor) -> Tensor:
        return hidden.reshape(-1, hidden.shape[2]).index_select(0, positions).float()

    return Pool(real, real)


def _one_token(samples: Tensor, positions: Tensor) -> Pool:
    def pick(hidden: Tensor) -> Tensor:
        return hidden[samples, positions].float()

    return Pool(pick, pick)


def _given(sinks: Sequence[Sequence[int]] | None) -> Sequence[Sequence[int]]:
    if sinks is None:
        raise DataError(
            "pooling 'mean_without_sinks' needs the sinks that were found on the base model: give sinks=find_sinks(base, inputs), "
            "the same for the base model and every model tuned from it."
        )
    return sinks


def _without(mask: Tensor, sinks: Sequence[Sequence[int]]) -> Tensor:
    """The mask, (b, t), with the sinks taken out of it."""
    if not any(sinks):
        return mask
    mask = mask.clone()
    for row, positions in enumerate(sinks):
        if positions:
            real = mask[row].nonzero().squeeze(1)
            mask[row, real[torch.tensor(positions, device=mask.device)]] = False
    return mask


def _mean(mask: Tensor) -> Pool:
    # One batched product a layer: the mean costs next to nothing beside the block that made the hidden state.
    weights = (mask.float() / mask.sum(dim=1, keepdim=True)).unsqueeze(1)
    outside = ~mask.unsqueeze(2)

    def fast(hidden: Tensor) -> Tensor:
        return torch.bmm(weights, hidden.float()).squeeze(1)

    def careful(hidden: Tensor) -> Tensor:
        return torch.bmm(weights, hidden.float().masked_fill(outside, 0.0)).squeeze(1)

    return Pool(fast, careful)
