"""Several files that move at the same time, with one bar for all bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Self, TypeVar

from repdrift.core.progress import Bar

T = TypeVar("T")
R = TypeVar("R")

USUAL_JOBS = 8
"""Files that move at the same time, if the user does not say how many."""
_MIB = 1 << 20


class MovedBytes:
    """A bar of the bytes that have moved, in mebibytes. Threads may count at the same time."""

    def __init__(self, what: str, nbytes: int) -> None:
        self._bar = Bar(f"{what}, MiB", max(1, nbytes // _MIB))
        self._lock = threading.Lock()
        self._shown = 0
        self.nbytes = 0

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._bar.__exit__(*reason)

    def __call__(self, nbytes: int) -> None:
        """Count bytes that moved."""
        with self._lock:
            self.nbytes += nbytes
            whole = self.nbytes // _MIB
            if whole > self._shown:
                self._bar.advance(whole - self._shown)
                self._shown = whole


def nothing_shown(nbytes: int) -> None:
    """Counts nothing: for a file whose moving is not shown."""
    del nbytes


def at_once(
    items: Sequence[T], work: Callable[[T], R], *, jobs: int, done: Callable[[T, R], None] | None = None
) -> list[R]:
    """Returns the result of `work` for every item, in order, with `jobs` items at work at the same time.

    done: is given every item and its result, in this thread, as soon as it is there.
    If one fails, no other is begun, those at work are waited for, and the first failure is raised.
    """
    if jobs == 1 or len(items) < 2:
        return [_one(item, work, done) for item in items]
    results: dict[int, R] = {}
    waiting = list(enumerate(items))[::-1]
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=min(jobs, len(items)), thread_name_prefix="store") as pool:
        running: dict[Future[R], int] = {}
        try:
            while waiting or running:
                while waiting and failure is None and len(running) < jobs:
                    number, item = waiting.pop()
                    running[pool.submit(work, item)] = number
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number = running.pop(future)
                    if (error := future.exception()) is not None:
                        failure = failure or error
                        continue
                    results[number] = future.result()
                    if done is not None:
                        done(items[number], results[number])
        except BaseException:  # such as Ctrl-C: what is at work ends, nothing else begins
            for future in running:
                future.cancel()
            with suppress(BaseException):
                wait(running)
            raise
    if failure is not None:
        raise failure
    return [results[number] for number in range(len(items))]


def _one(item: T, work: Callable[[T], R], done: Callable[[T, R], None] | None) -> R:
    result = work(item)
    if done is not None:
        done(item, result)
    return result
