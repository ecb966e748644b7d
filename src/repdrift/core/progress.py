"""Lines that a command prints: progress on standard error (a bar on a terminal), answers on standard output."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TextIO, TypeVar

from repdrift.core.shown_text import for_terminal, json_text

T = TypeVar("T")

_LINE_EVERY_S = 10.0


def is_first_process() -> bool:
    """Returns whether this is the process that prints; under `torchrun` only the first one is."""
    return os.environ.get("RANK", "0") == "0"


class ProgressView(Protocol):
    """Shows progress in place of the lines and bars on standard error."""

    def note(self, message: str) -> None:
        """Take a line that would be printed."""
        ...

    def begin(self, number: int, of: int, name: str) -> None:
        """Begin stage `number` of `of`, which ends the stage before it."""
        ...

    def step(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` parts of the stage are finished. what: the parts' name in the plural."""
        ...

    def part(self, share: float) -> None:
        """Show how far the part is that is at work now. share: 0 to 1."""
        ...


_views: list[ProgressView] = []


@contextmanager
def shown_by(view: ProgressView) -> Generator[None]:
    """All progress goes to `view` inside the block."""
    _views.append(view)
    try:
        yield
    finally:
        _views.pop()


_listeners: list[Callable[[str], object]] = []
_latest: list[str] = []
"""How far the innermost bar is, in words; empty if none has moved."""


@contextmanager
def heard_by(listener: Callable[[str], object]) -> Generator[None]:
    """Every line of progress is given to `listener` too inside the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
        _latest.clear()


def latest_progress() -> str | None:
    """Returns how far the part at work is, such as `extracting: 3 of 20`; None if nothing has said so."""
    return _latest[-1] if _latest else None


def say_stage(number: int, of: int, name: str) -> None:
    """Say that stage `number` of `of` begins."""
    if _views:
        _views[-1].begin(number, of, name)
    else:
        say(f"{number} of {of}: {name}")


def say_step(done: int, total: int, what: str, message: str) -> None:
    """Say that part `done` of the `total` parts of a stage is finished. what: the parts' name in the plural; message: what was done."""
    if _views:
        _views[-1].step(done, total, what)
    say(f"[{done}/{total}] {message}")


def say(message: str) -> None:
    """Print one line of progress to standard error (standard output is for results)."""
    if not is_first_process():
        return
    for listener in _listeners:
        listener(message)
    if _views:
        _views[-1].note(message)
        return
    sys.stderr.write(_encodable(for_terminal(message), sys.stderr) + "\n")
    sys.stderr.flush()


def tell(text: str = "") -> None:
    """Print lines of an answer to standard output, without what a terminal would obey."""
    sys.stdout.write(_encodable(for_terminal(text), sys.stdout) + "\n")


def _encodable(text: str, stream: TextIO) -> str:
    """Returns the text with characters that the stream's encoding lacks written as their codes: hours of work are not lost by a name."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


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
        if not _views and sys.stderr.isatty() and is_first_process():
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
        _latest[:] = [f"{self._what}: {self._done} of {self._total}"]
        if _views:
            _views[-1].part(self._done / max(1, self._total))
            return
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
