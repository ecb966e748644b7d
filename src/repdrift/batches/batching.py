"""Batches of samples of similar length, under a token budget, so that little time goes to padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from repdrift.tasks import SampleSet


@dataclass(frozen=True)
class Batch:
    """Model inputs of some samples, padded on the right.

    number: the batch's number in its plan. sample_indices: where the samples stand in the sample set.
    pooled: (b, t), 1 on the tokens that a pooling takes; None: all that are read.
    inputs: `input_ids` and `attention_mask` of shape (b, t), and `token_type_ids` and `position_ids` where the samples have them.
    """

    number: int
    sample_indices: list[int]
    inputs: dict[str, Tensor]
    pooled: Tensor | None = None

    def split(self, max_tokens: int) -> list[Batch]:
        """Split into batches of at most `max_tokens` tokens, padding included; each has at least one sample."""
        width = int(self.inputs["attention_mask"].shape[1])
        size = max(1, max_tokens // width)
        if size >= len(self.sample_indices):
            return [self]
        parts: list[Batch] = []
        for start in range(0, len(self.sample_indices), size):
            part = slice(start, start + size)
            longest = int(self.inputs["attention_mask"][part].any(dim=0).nonzero().max()) + 1  # a mask may have holes
            inputs = {name: tensor[part, :longest] for name, tensor in self.inputs.items()}
            pooled = None if self.pooled is None else self.pooled[part, :longest]
            parts.append(Batch(self.number, self.sample_indices[part], inputs, pooled))
        return parts


class BatchPlan(Sequence[Batch]):
    """Says which samples go together, and in what order.

    The same sample set and settings give the same plan on every machine. The longest samples come first: where memory
    does not suffice, this shows in the first batch and not in the last.

    token_budget: tokens of one batch, padding included. window_tokens: samples are sorted by length only within
    stretches of about this many tokens, so that rows are complete roughly in the order of the file. None: samples are
    sorted over the whole set. sample_indices: for each batch, the indices of its samples.
    """

    def __init__(self, samples: SampleSet, *, token_budget: int, window_tokens: int | None = None) -> None:
        self.samples = samples
        self.token_budget = token_budget
        self.window_tokens = window_tokens
        self.sample_indices = _batches_by_length(samples.lengths, token_budget, window_tokens)

    @property
    def settings(self) -> dict[str, int | None]:
        """Settings that give this plan again for the same samples: `BatchPlan(samples, **settings)`."""
        return {"token_budget": self.token_budget, "window_tokens": self.window_tokens}

    def __len__(self) -> int:
        return len(self.sample_indices)

    def __getitem__(self, number: int) -> Batch:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not 0 <= number < len(self.sample_indices):
            raise IndexError(number)
        chosen = self.sample_indices[number]
        return Batch(number, chosen, _padded_inputs(self.samples, chosen), _pooled(self.samples, chosen))

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))


def longest_and_shortest(samples: SampleSet) -> Batch:
    """A batch of the longest and the shortest sample, for a look at how a model takes padding."""
    order = sorted(range(len(samples)), key=lambda index: samples.lengths[index])
    chosen = [order[-1], order[0]]
    return Batch(0, chosen, _padded_inputs(samples, chosen))


def scales_by_batch(model: nn.Module) -> bool:
    """Tells whether `model` rounds activations by the range of a whole batch, so that a sample's numbers depend on the others.

    Dynamic quantisation of torch.ao does. Such a model reads one sample at a time.
    """
    return any(".quantized.dynamic." in f"{type(module).__module__}." for module in model.modules())


def _batches_by_length(lengths: list[int], token_budget: int, window_tokens: int | None) -> list[list[int]]:
    batches: list[list[int]] = []
    for window in _windows(lengths, window_tokens):
        longest_first = sorted(window, key=lambda index: (-lengths[index], index))
        start = 0
        while start < len(longest_first):
            size = max(1, token_budget // lengths[longest_first[start]])
            batches.append(longest_first[start : start + size])
            start += size
    return batches


def _windows(lengths: list[int], window_tokens: int | None) -> Iterator[range]:
    if window_tokens is None:
        yield range(len(lengths))
        return
    start, tokens = 0, 0
    for index, length in enumerate(lengths):
        tokens += length
        if tokens >= window_tokens:
            yield range(start, index + 1)
            start, tokens = index + 1, 0
    if start < len(lengths):
        yield range(start, len(lengths))


def _pooled(samples: SampleSet, sample_indices: Sequence[int]) -> Tensor | None:
    masks = samples.pooled_masks
    return None if masks is None else torch.from_numpy(_padded([masks[index] for index in sample_indices]))


def _padded_inputs(samples: SampleSet, sample_indices: Sequence[int]) -> dict[str, Tensor]:
    given = {
        "input_ids": samples.input_ids,
        "attention_mask": samples.attention_masks,
        "token_type_ids": samples.token_type_ids,
        "position_ids": samples.position_ids,
    }
    padded: dict[str, Tensor] = {}
    for name, values in given.items():
        if values is None and name != "attention_mask":
            continue
        rows = [[1] * len(samples.input_ids[i]) if values is None else values[i] for i in sample_indices]
        padded[name] = torch.from_numpy(_padded(rows))
    return padded


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    array = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for number, row in enumerate(rows):
        array[number, : len(row)] = row
    return array
