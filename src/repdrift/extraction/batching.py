"""Batches of samples of similar length, under a token budget, so that little time goes to padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repdrift.core.errors import ShapeError
from repdrift.tasks import SampleSet, token_ids


@dataclass(frozen=True)
class Batch:
    """Model inputs of some samples, padded on the right.

    number: the batch's number in its plan. sample_indices: where the samples stand in the sample set.
    inputs: `input_ids` and `attention_mask` of shape (b, t), and `token_type_ids` where the samples have them.
    """

    number: int
    sample_indices: list[int]
    inputs: dict[str, Tensor]

    def split(self, max_tokens: int) -> list[Batch]:
        """Split into batches of at most `max_tokens` tokens, padding included; each has at least one sample."""
        width = int(self.inputs["attention_mask"].shape[1])
        size = max(1, max_tokens // width)
        if size >= len(self.sample_indices):
            return [self]
        parts: list[Batch] = []
        for start in range(0, len(self.sample_indices), size):
            part = slice(start, start + size)
            longest = int(self.inputs["attention_mask"][part].sum(dim=1).max())
            inputs = {name: tensor[part, :longest] for name, tensor in self.inputs.items()}
            parts.append(Batch(self.number, self.sample_indices[part], inputs))
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
        return Batch(number, chosen, _padded_inputs(self.samples, chosen))

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))


def sample_set_of(inputs: Mapping[str, Tensor]) -> SampleSet:
    """A sample set made from tensors, without their padding.

    inputs: `input_ids` and `attention_mask` of shape (n, t), padded on either side; `token_type_ids` is optional.
    Raises ShapeError if a tensor is absent, the shapes differ, or a row has no real token.
    """
    absent = [name for name in ("input_ids", "attention_mask") if name not in inputs]
    if absent:
        raise ShapeError(f"inputs lack {absent[0]!r}; they have {', '.join(inputs) or 'nothing'}")
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    if ids.dim() != 2 or mask.shape != ids.shape:
        raise ShapeError(
            f"input_ids and attention_mask should both be (n, t), got {tuple(ids.shape)} and {tuple(mask.shape)}"
        )
    if not ids.shape[0] or not bool(mask.any(dim=1).all()):
        empty = "there are no rows" if not ids.shape[0] else f"row {int((~mask.any(dim=1)).nonzero()[0])} has none"
        raise ShapeError(f"every row of attention_mask needs a real token; {empty}")
    types = inputs.get("token_type_ids")
    return SampleSet(
        task="inputs",
        sample_ids=tuple(str(row) for row in range(ids.shape[0])),
        input_ids=tuple(token_ids(ids[row][mask[row]].tolist()) for row in range(ids.shape[0])),
        token_type_ids=None
        if types is None
        else tuple(token_ids(types[row][mask[row]].tolist()) for row in range(ids.shape[0])),
        truncated_samples=0,
        source="tensors",
    )


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


def _padded_inputs(samples: SampleSet, sample_indices: Sequence[int]) -> dict[str, Tensor]:
    longest = max(len(samples.input_ids[index]) for index in sample_indices)
    types = samples.token_type_ids
    names = ("input_ids", "attention_mask") if types is None else ("input_ids", "attention_mask", "token_type_ids")
    padded = {name: np.zeros((len(sample_indices), longest), dtype=np.int64) for name in names}
    for row, index in enumerate(sample_indices):
        length = len(samples.input_ids[index])
        padded["input_ids"][row, :length] = samples.input_ids[index]
        padded["attention_mask"][row, :length] = 1
        if types is not None:
            padded["token_type_ids"][row, :length] = types[index]
    return {name: torch.from_numpy(array) for name, array in padded.items()}
