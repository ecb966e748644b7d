"""Data parallel under `torchrun`: which process this is, and the few things that processes tell each other."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch

from repdrift.core.errors import ModelError, RepdriftError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of one `torchrun`; a single one without it."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that decides, speaks and finishes."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """The numbers below `count` that fall to this process: every size-th, so that long and short batches mix."""
        return range(self.rank, count, self.size)

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            torch.distributed.barrier()

    @contextmanager
    def together(self, what: str) -> Generator[None]:
        """A stretch of work that fails in every process if it fails in one, with the same error: of the first that failed.

        Without it a process that gave a model up would meet, with its next exchange, the others' exchange about another
        model. what: says which stretch; processes that are at different ones raise ModelError. Exchanges inside of the
        stretch are not protected: they come after it.
        """
        failed: RepdriftError | None = None
        try:
            yield
        except RepdriftError as error:
            if self.size == 1:
                raise
            failed = error
        if self.size == 1:
            return
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, (what, failed))
        places = {place for place, _ in found}
        if len(places) > 1:
            raise ModelError(
                f"the processes are at different work, since one of them failed: {', '.join(sorted(places))}"
            )
        first = next((error for _, error in found if error is not None), None)
        if first is not None:
            raise first

    def from_first(self, value: T) -> T:
        """What the first process gives, in every process. Plain Python objects and tensors of our own making."""
        if self.size == 1:
            return value
        held = [value]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]

    def gather(self, value: T) -> list[T] | None:
        """Every process's value, by rank, in the first process; None in the others."""
        if self.size == 1:
            return [value]
        held: list[Any] | None = [None] * self.size if self.is_first else None
        torch.distributed.gather_object(value, held, dst=0)
        return held


def process_count() -> int:
    """Processes of the `torchrun` that started this one, without joining them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@cache
def world() -> World:
    """The world that `torchrun` describes in RANK and WORLD_SIZE; joins it at the first call (NCCL on GPUs, else gloo)."""
    if process_count() == 1:
        return World(0, 1)
    if not torch.distributed.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    return World(torch.distributed.get_rank(), torch.distributed.get_world_size())


def device() -> torch.device:
    """The accelerator of this process, or the CPU."""
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    accelerator = torch.accelerator.current_accelerator()
    kind = accelerator.type if accelerator is not None else "cpu"
    return torch.device(kind, int(os.environ.get("LOCAL_RANK", "0")))
