"""Batches of the controls where only sums are kept: smaller ones for the noise floor, mixed ones for mispaired samples."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from torch import Tensor

from repdrift.batches.batching import BatchPlan


class InParts:
    """An extractor that runs every batch in parts of at most so many tokens."""

    def __init__(self, extractor: Any, most_tokens: int) -> None:
        self._extractor = extractor
        self._most_tokens = most_tokens
        self.places = extractor.places

    def forward(self, batch: Any, on_block: Any, on_site: Any = None) -> None:
        """Runs the parts of a batch one after the other; arguments as for the extractor."""
        for part in batch.split(self._most_tokens):
            self._extractor.forward(part, on_block, on_site)


def mixed_batches(plan: BatchPlan) -> BatchPlan:
    """Deals the samples of a plan at random into other batches, each of at least two samples if there are two.

    The samples of a batch of the plan are about equally long. If they were mispaired within it, the two samples of a pair
    would still have their length in common.
    """
    lengths = plan.samples.lengths
    batches: list[list[int]] = []
    longest = 0
    for index in np.random.default_rng(20240).permutation(len(lengths)).tolist():
        longest = max(longest, lengths[index])
        if not batches or (len(batches[-1]) > 1 and (len(batches[-1]) + 1) * longest > plan.token_budget):
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2] += batches.pop()
    mixed = copy(plan)
    mixed.sample_indices = batches
    return mixed


def mispaired_rows(rows: Tensor) -> Tensor:
    """Moves every row by half the batch, so that it meets a row of another sample."""
    return rows.roll(max(1, rows.shape[0] // 2), dims=0)
