"""Processes that share one piece of work under `torchrun`: which one this is, and what they tell each other."""

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

_group: Any = torch.distributed  # its functions carry no types


@dataclass(frozen=True)
class World:
    """The processes of one `torchrun`, or a single process without it.

    rank: number of this process, from 0. size: number of processes.
    """

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """True for the first process, which alone decides, prints and finishes files."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Returns this process's part of the numbers below `count`: each `size`-th, so that it gets long and short batches."""
        return range(self.rank, count, self.size)

    def barrier(self) -> None:
        """Wait until every process has come to this point."""
        if self.size > 1:
            _group.barrier()

    @contextmanager
    def together(self, what: str) -> Generator[None]:
        """Run the `with` block so that it fails in every process if it fails in one, with the error of the first that failed.

        Without it, the others would wait for a process that has gone on to other work. The processes must not exchange
        anything inside the block. what: names the work; ModelError is raised if the processes are at different work.
        """
        failed: RepdriftError | None = None
        try:
            yield
        except Exception as error:  # of any kind: the others wait for this process, whatever happened in it
            if self.size == 1:
                raise
            failed = (
                error if isinstance(error, RepdriftError) else ModelError(f"{what}: {type(error).__name__}: {error}")
            )
        if self.size == 1:
            return
        found: list[Any] = [None] * self.size
        _group.all_gather_object(found, (what, failed))
        names = {name for name, _ in found}
        if len(names) > 1:
            raise ModelError(
                f"the processes are at different work, since one of them failed: {', '.join(sorted(names))}"
            )
        first = next((error for _, error in found if error is not None), None)
        if first is not None:
            raise first

    def from_first(self, value: T) -> T:
        """The value of the first process, in every process. It is pickled: only for values that repdrift made."""
        if self.size == 1:
            return value
        values = [value]
        _group.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: T) -> list[T] | None:
        """The values of all processes, by rank, in the first process; None in the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        _group.gather_object(value, values, dst=0)
        return values


def process_count() -> int:
    """Number of processes that `torchrun` started, 1 without it. This does not join them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@cache
def world() -> World:
    """The processes that `torchrun` started. The first call joins them, with NCCL on GPUs and gloo elsewhere."""
    if process_count() == 1:
        return World(0, 1)
    if not _group.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        _group.init_process_group("nccl" if cuda else "gloo")
    return World(_group.get_rank(), _group.get_world_size())


def device() -> torch.device:
    """The accelerator that this process uses, or the CPU if there is none."""
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    accelerator = torch.accelerator.current_accelerator()
    kind = accelerator.type if accelerator is not None else "cpu"
    return torch.device(kind, int(os.environ.get("LOCAL_RANK", "0")))
