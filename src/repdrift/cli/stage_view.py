"""Shows a long command as one line for each stage; all that is said beside that goes into a log file."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

from repdrift.cli.guarded_output import Guarded
from repdrift.core.atomic import storage_errors
from repdrift.core.progress import shown_by
from repdrift.core.shown_text import for_terminal

_LINE_EVERY_S = 10.0


class StageView:
    """One line for each stage: a bar on a terminal; elsewhere a line at most every ten seconds, if there is
    news, and one at the end of the stage.

    screen: where the lines go. log: takes every other message.
    """

    def __init__(self, screen: TextIO, log: TextIO) -> None:
        self._screen, self._log = screen, log
        self._bars = _bars(screen)
        self._stage = ""
        self._done, self._total, self._what = 0, 1, ""
        self._counted: dict[str, int] = {}
        self._count = ""
        self._began = self._shown = time.monotonic()
        self._row: Any = None

    def note(self, message: str) -> None:
        """Write a message into the log."""
        self._log.write(f"{message}\n")
        self._log.flush()

    def begin(self, number: int, of: int, name: str) -> None:
        """Begin a stage, after the end of the one before."""
        self.end()
        self._stage = f"{number} of {of}  {name}"
        self._done, self._total, self._what, self._counted = 0, 1, "", {}
        self._count = ""
        self._began = self._shown = time.monotonic()
        self.note(f"{number} of {of}: {name}")
        if self._bars is not None:
            self._row = self._bars.add_task(f"{self._stage:<18}", total=1.0, count="")

    def step(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` parts are finished."""
        self._done, self._total, self._what = done, total, what
        self._counted[what] = done
        self._show(done / total, f"{done} of {total} {what}")

    def part(self, share: float) -> None:
        """Show how far the part at work is. A part that comes after the last one belongs to parts not yet counted."""
        left = self._done < self._total
        count = f"{self._done} of {self._total} {self._what}" if self._what else ""
        self._show(min(1.0, (self._done + (share if left else 0.0)) / self._total), count)

    def end(self) -> None:
        """End the stage at work, if there is one."""
        if not self._stage:
            return
        counts = ", ".join(f"{number} {what}" for what, number in self._counted.items())
        seconds = f"{time.monotonic() - self._began:.0f} s"
        if self._bars is not None:
            self._bars.update(self._row, completed=1.0, count=counts)
            self._bars.stop_task(self._row)
        else:
            self._line(f"{self._stage:<18} {', '.join(filter(None, (counts, seconds)))}")
        self._stage = ""

    def __enter__(self) -> StageView:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.end()
        if self._bars is not None:
            self._bars.stop()

    def _show(self, share: float, count: str) -> None:
        if not self._stage:
            return
        if self._bars is not None:
            self._bars.update(self._row, completed=share, count=count)
        elif count not in ("", self._count) and time.monotonic() - self._shown >= _LINE_EVERY_S:
            self._line(f"{self._stage:<18} {count}")
            self._count, self._shown = count, time.monotonic()

    def _line(self, text: str) -> None:
        self._screen.write(for_terminal(text) + "\n")
        self._screen.flush()


@contextmanager
def stages_on_screen(log_file: Path) -> Generator[StageView]:
    """Inside the block, progress is one line a stage; every other message goes into `log_file`, also those of other libraries.

    What libraries print goes there too, in Python or beneath it, on standard output and standard error. The log is added to.
    Raises StorageError if the file cannot be written.
    """
    with ExitStack() as stack:
        with storage_errors(log_file):
            log = stack.enter_context(log_file.open("a", encoding="utf-8", errors="backslashreplace"))
        log.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n")
        log.flush()
        screen = _own_screen(stack)
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            if _descriptor(stream) == number:
                stream.flush()
                _redirected(number, log.fileno(), stack)
        guarded = cast("TextIO", Guarded(log))
        stack.enter_context(redirect_stdout(guarded))
        stack.enter_context(redirect_stderr(guarded))
        view = stack.enter_context(StageView(screen, guarded))
        stack.enter_context(shown_by(view))
        yield view


def _own_screen(stack: ExitStack) -> TextIO:
    """Standard error as it is now: a stream of its own where it has a descriptor that is about to be redirected."""
    if _descriptor(sys.stderr) != 2:
        return sys.stderr
    return stack.enter_context(os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace"))


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, AttributeError, io.UnsupportedOperation):
        return None


def _redirected(number: int, target: int, stack: ExitStack) -> None:
    before = os.dup(number)
    stack.callback(os.close, before)
    stack.callback(os.dup2, before, number)
    os.dup2(target, number)


def _bars(screen: TextIO) -> Any:
    """Bars on a terminal; None elsewhere."""
    if not screen.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[count]}", markup=False),
    )
    return Progress(*columns, console=Console(file=screen), redirect_stdout=False, redirect_stderr=False)
