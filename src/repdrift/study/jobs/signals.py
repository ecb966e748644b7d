"""SIGTERM as Ctrl-C: a process that is asked to end leaves a state from which the same command goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

_ON_ITS_WAY_S = 15.0
"""So long after a SIGTERM, others say nothing new: a launcher and the watch on its process may both send one."""


@contextmanager
def stopped_by_sigterm() -> Generator[None]:
    """SIGTERM raises KeyboardInterrupt inside the block. In another thread than the main one nothing changes.

    A second one that follows within 15 seconds is passed over, as it would interrupt the writing of the state that the first one asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked_at: float | None = None

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal asked_at
        now = time.monotonic()
        if asked_at is not None and now - asked_at < _ON_ITS_WAY_S:
            return
        asked_at = now
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
