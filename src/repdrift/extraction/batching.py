"""Batches of like length under a token budget, so that no time goes to padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import ShapeError
from repdrift.tasks import SampleSet


@dataclass(frozen=True)
class Batch:
    """Padded inputs of some samples; `rows` are their places in the sample set."""

    rows: list[int]
    inputs: dict[str, Tensor]


def length_sorted_batches(samples: SampleSet, *, token_budget: int, pad_token_id: int = 0) -> Iterator[Batch]:
    """Batches of at most `token_budget` tokens, padding included (at least one sample each), longest first.

    Longest first: if memory does not suffice, it shows in the first batch and not in the last.
    """
    order = sorted(range(len(samples)), key=lambda row: (-len(samples.input_ids[row]), row))
    start = 0
    while start < len(order):
        longest = len(samples.input_ids[order[start]])
        rows = order[start : start + max(1, token_budget // longest)]
        yield Batch(rows, _padded_inputs(samples, rows, longest, pad_token_id))
        start += len(rows)


def sample_set_of(inputs: Mapping[str, Tensor]) -> SampleSet:
    """A sample set of tensors `input_ids` and `attention_mask` of shape (n, t), padding on either side taken off.

    Raises ShapeError if a tensor is absent or the shapes differ.
    """
    absent = [name for name in ("input_ids", "attention_mask") if name not in inputs]
    if absent:
        raise ShapeError(f"inputs lack {absent[0]!r}; they have {', '.join(inputs) or 'nothing'}")
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    if ids.dim() != 2 or mask.shape != ids.shape:
        raise ShapeError(
            f"input_ids and attention_mask should both be (n, t), got {tuple(ids.shape)} and {tuple(mask.shape)}"
        )
    types = inputs.get("token_type_ids")
    return SampleSet(
        task="inputs",
        sample_ids=tuple(str(row) for row in range(ids.shape[0])),
        input_ids=tuple(tuple(ids[row][mask[row]].tolist()) for row in range(ids.shape[0])),
        token_type_ids=None
        if types is None
        else tuple(tuple(types[row][mask[row]].tolist()) for row in range(ids.shape[0])),
        truncated_samples=0,
        source="tensors",
    )


def _padded_inputs(samples: SampleSet, rows: Sequence[int], longest: int, pad: int) -> dict[str, Tensor]:
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    types = torch.zeros((len(rows), longest), dtype=torch.long) if samples.token_type_ids is not None else None
    for place, row in enumerate(rows):
        length = len(samples.input_ids[row])
        ids[place, :length] = torch.tensor(samples.input_ids[row])
        mask[place, :length] = 1
        if types is not None and samples.token_type_ids is not None:
            types[place, :length] = torch.tensor(samples.token_type_ids[row])
    inputs = {"input_ids": ids, "attention_mask": mask}
    if types is not None:
        inputs["token_type_ids"] = types
    return inputs
