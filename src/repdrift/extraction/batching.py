"""Batches of like length under a token budget, so that no time goes to padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repdrift.core.errors import ShapeError
from repdrift.tasks import SampleSet, token_row


@dataclass(frozen=True)
class Batch:
    """Inputs of some samples, padded on the right; `rows` are their places in the sample set, `number` its place in the plan."""

    number: int
    rows: list[int]
    inputs: dict[str, Tensor]

    @property
    def lengths(self) -> list[int]:
        """Real tokens of each sample, in the order of `rows`."""
        return self.inputs["attention_mask"].sum(dim=1).tolist()

    def split(self, max_tokens: int) -> list[Batch]:
        """The same samples in batches of at most `max_tokens` tokens, padding included (at least one sample each)."""
        width = int(self.inputs["attention_mask"].shape[1])
        size = max(1, max_tokens // width)
        if size >= len(self.rows):
            return [self]
        parts: list[Batch] = []
        for start in range(0, len(self.rows), size):
            rows = slice(start, start + size)
            longest = int(self.inputs["attention_mask"][rows].sum(dim=1).max())
            inputs = {name: tensor[rows, :longest] for name, tensor in self.inputs.items()}
            parts.append(Batch(self.number, self.rows[rows], inputs))
        return parts


class BatchPlan(Sequence[Batch]):
    """Which samples go together, in what order. The same sample set and numbers give the same plan on every machine.

    token_budget: tokens of one batch, padding included. window_tokens: samples are sorted by length only within
    stretches of about so many tokens, so that rows complete roughly in the order of the file (None: over the whole set).
    Longest first: if memory does not suffice, it shows in the first batch and not in the last.
    """

    def __init__(self, samples: SampleSet, *, token_budget: int, window_tokens: int | None = None) -> None:
        self.samples = samples
        self.token_budget = token_budget
        self.window_tokens = window_tokens
        self.groups = _grouped(samples.lengths, token_budget, window_tokens)

    @property
    def settings(self) -> dict[str, int | None]:
        """The numbers that make this plan of this sample set again: `BatchPlan(samples, **settings)`."""
        return {"token_budget": self.token_budget, "window_tokens": self.window_tokens}

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Batch:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not 0 <= number < len(self.groups):
            raise IndexError(number)
        rows = self.groups[number]
        return Batch(number, rows, _padded_inputs(self.samples, rows))

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))


def sample_set_of(inputs: Mapping[str, Tensor]) -> SampleSet:
    """A sample set of tensors `input_ids` and `attention_mask` of shape (n, t), padding on either side taken off.

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
        input_ids=tuple(token_row(ids[row][mask[row]].tolist()) for row in range(ids.shape[0])),
        token_type_ids=None
        if types is None
        else tuple(token_row(types[row][mask[row]].tolist()) for row in range(ids.shape[0])),
        truncated_samples=0,
        source="tensors",
    )


def _grouped(lengths: list[int], token_budget: int, window_tokens: int | None) -> list[list[int]]:
    groups: list[list[int]] = []
    for window in _windows(lengths, window_tokens):
        order = sorted(window, key=lambda row: (-lengths[row], row))
        start = 0
        while start < len(order):
            rows = order[start : start + max(1, token_budget // lengths[order[start]])]
            groups.append(rows)
            start += len(rows)
    return groups


def _windows(lengths: list[int], window_tokens: int | None) -> Iterator[range]:
    if window_tokens is None:
        yield range(len(lengths))
        return
    start, tokens = 0, 0
    for row, length in enumerate(lengths):
        tokens += length
        if tokens >= window_tokens:
            yield range(start, row + 1)
            start, tokens = row + 1, 0
    if start < len(lengths):
        yield range(start, len(lengths))


def _padded_inputs(samples: SampleSet, rows: Sequence[int]) -> dict[str, Tensor]:
    longest = max(len(samples.input_ids[row]) for row in rows)
    types = samples.token_type_ids
    padded = {name: np.zeros((len(rows), longest), dtype=np.int64) for name in ("input_ids", "attention_mask")}
    if types is not None:
        padded["token_type_ids"] = np.zeros((len(rows), longest), dtype=np.int64)
    for place, row in enumerate(rows):
        length = len(samples.input_ids[row])
        padded["input_ids"][place, :length] = samples.input_ids[row]
        padded["attention_mask"][place, :length] = 1
        if types is not None:
            padded["token_type_ids"][place, :length] = types[row]
    return {name: torch.from_numpy(array) for name, array in padded.items()}
