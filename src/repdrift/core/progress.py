"""Lines that a command prints: progress on standard error (a bar on a terminal), answers on standard output."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self, TypeVar

from repdrift.core.shown_text import for_terminal, json_text

T = TypeVar("T")

_LINE_EVERY_S = 10.0


def is_first_process() -> bool:
    """Returns whether this is the process that prints; under `torchrun` only the first one is."""
    return os.environ.get("RANK", "0") == "0"


def say(message: str) -> None:
    """Print one line of progress to standard error (standard output is for results)."""
    if not is_first_process():
        return
    sys.stderr.write(for_terminal(message) + "\n")
    sys.stderr.flush()


def tell(text: str = "") -> None:
    """Print lines of an answer to standard output, without what a terminal would obey."""
    sys.stdout.write(for_terminal(text) + "\n")


def tell_json(value: Any) -> None:
    """Print an answer as JSON to standard output."""
    sys.stdout.write(json_text(value) + "\n")


class Bar:
    """A count of finished steps, shown as a bar on a terminal and as a line at most every ten seconds elsewhere."""

    def __init__(self, what: str, total: int) -> None:
        self._what = for_terminal(what)
        self._total = total
        self._done = 0
        self._last = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and is_first_process():
            from rich.console import Console
            from rich.markup import escape
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(escape(self._what), total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more as done."""
        self._done += steps
        if self._bar is not None:
            self._bar.advance(self._task, steps)
            return
        now = time.monotonic()
        if now - self._last >= _LINE_EVERY_S and self._done < self._total:
            say(f"{self._what}: {self._done} of {self._total}")
            self._last = now


def track(items: Iterable[T], *, what: str, total: int) -> Iterator[T]:
    """Yield `items` while showing how many of `total` are done."""
    with Bar(what, total) as bar:
        for item in items:
            yield item
            bar.advance()
