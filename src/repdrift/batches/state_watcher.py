"""Watchers of a model's last hidden states, which take them from a pass that runs for another purpose."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from repdrift.batches.batching import Batch, BatchPlan


class StateWatcher(Protocol):
    """Takes the last hidden states of one model from a pass that runs it anyway.

    A watcher is called in the order of its methods, `keep` and `batch_done` for each batch. It handles its own faults: it never stops the pass
    that it watches. Every process of `torchrun` has one, and calls it for the batches that this process runs.
    """

    def prepare(self) -> None:
        """Loads what the watcher needs, before the pass loads its own model."""
        ...

    def begin(self, plan: BatchPlan) -> None:
        """Tells the batches of the pass. Those that were run before a pass was killed are not run again."""
        ...

    def keep(self, batch: Batch, hidden: Tensor) -> None:
        """Takes the last hidden state (b, t, d) of a batch, or of a part of one. A batch that is run again comes again."""
        ...

    def batch_done(self, number: int) -> None:
        """Tells that a batch has passed whole. What is kept of it is on the disk before the pass counts the batch as done."""
        ...

    def finish(self) -> None:
        """Tells, in every process, that all batches have passed."""
        ...
