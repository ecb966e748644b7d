"""One thread for work on small matrices: several wait for each other, and longer than they save where another program runs beside."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

SMALL_WIDTH = 512
"""Features of a representation up to which one thread measures what moved."""


@contextmanager
def one_thread(*, small: bool) -> Generator[None]:
    """Lets torch, numpy and scipy use one thread inside the `with` block if its matrices are `small`; otherwise changes nothing."""
    if not small:
        yield
        return
    import torch
    from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

    threads = torch.get_num_threads()
    with threadpool_limits(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
