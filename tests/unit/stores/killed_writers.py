"""Writers that run in processes of their own, to be killed; forked from a server that has torch loaded."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from tests.unit.stores.small_sets import batch, finishing, write_all, writer_of


def context():
    """Processes that start quickly and share no thread with the tests."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.unit.stores.small_sets"])
    return made


def write_and_die(folder, function, number, **options):
    """Write the set; die of SIGKILL before call `number` of `os.function`."""
    calls, original = 0, getattr(os, function)

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    os.fsync = lambda _: None  # a killed process loses nothing that it wrote: this only makes the tests quick
    setattr(os, function, counted)
    with writer_of(folder, **options) as writer:
        write_all(writer)


def write_slowly(folder, log, pause):
    """Write the set unless it is there, a batch each `pause` seconds; standard error goes to `log`."""
    sys.stderr = Path(log).open("w", encoding="utf-8")  # noqa: SIM115
    with writer_of(folder) as writer:
        if writer.finished is not None:
            sys.stderr.write("found it finished\n")
        else:
            for number in sorted(set(range(writer.n_batches)) - writer.done):
                writer.write_batch(number, *batch(number))
                time.sleep(pause)
            writer.finish(**finishing())
    sys.stderr.close()


def write_as_rank(folder, rank, world_size, barrier):
    """One rank's share of the set, as the extraction does it."""
    writer = writer_of(folder, rank=rank, world_size=world_size)
    if rank > 0:
        barrier.wait()
    with writer:
        if rank == 0:
            barrier.wait()
        for number in range(rank, writer.n_batches, world_size):
            if number not in writer.done:
                writer.write_batch(number, *batch(number))
        writer.flush()
        barrier.wait()
        if rank == 0:
            writer.finish(**finishing())
