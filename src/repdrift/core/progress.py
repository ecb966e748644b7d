"""Progress for long work: a bar on a terminal, plain lines elsewhere, nothing on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_LINE_EVERY_S = 10.0


def say(message: str) -> None:
    """Print one line of progress to standard error (standard output is for results)."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def track(items: Iterable[T], *, what: str, total: int) -> Iterator[T]:
    """Yield `items` while showing how many of `total` are done: a bar on a terminal, else a line at most
    every ten seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(items, description=what, total=total, console=Console(stderr=True), transient=True)
        return
    last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= _LINE_EVERY_S:
            say(f"{what}: {done} of {total}")
            last = now
        yield item
