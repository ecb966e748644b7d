"""Batches of inputs of like length: less padding, so less memory and time. Each epoch's order follows from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

_BATCHES_SORTED = 50
"""Batches that are sorted by length together: many enough for like lengths, few enough that the order stays random."""


class LengthGroups(Sampler[int]):
    """The numbers of the inputs in an order in which neighbours have like lengths.

    lengths: of each input, in tokens. batch: inputs of one optimiser step. transformers' own sampler draws from the global random
    generator, so that a resumed training would see another order; this one draws from seed and epoch.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        super().__init__()
        self._lengths = list(lengths)
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self._seed + 0x9E3779B97F4A7C15 * (self._epoch + 1)) % 2**63)
        order = torch.randperm(len(self._lengths), generator=generator).tolist()
        size = self._batch * _BATCHES_SORTED
        groups = [
            sorted(order[at : at + size], key=lambda i: self._lengths[i], reverse=True)
            for at in range(0, len(order), size)
        ]
        batches = [group[at : at + self._batch] for group in groups for at in range(0, len(group), self._batch)]
        # A group's batches go from long to short; their order is drawn anew. The short last batch of the epoch stays last.
        last = [batches.pop()] if len(batches[-1]) < self._batch else []
        drawn = torch.randperm(len(batches), generator=generator).tolist()
        for batch in [*(batches[i] for i in drawn), *last]:
            yield from batch
