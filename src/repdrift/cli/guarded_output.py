"""The command line's edges: what a user types, and what any library prints while a command runs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO, cast

from typer.core import TyperGroup

from repdrift.core.errors import ConfigError
from repdrift.core.hidden_secrets import remember_secrets, without_secrets
from repdrift.core.shown_text import for_terminal


def take_arguments(arguments: Sequence[str]) -> None:
    """Takes up the secrets in the arguments, so that they are hidden from now on.

    Raises ConfigError if an argument has several lines or is not UTF-8: no file of ours could name it.
    """
    for argument in arguments:
        remember_secrets(argument)
        shown = for_terminal(argument)
        if len(argument.splitlines()) > 1:
            raise ConfigError(
                f"the argument {shown!r} holds a line break. Names of files, folders and columns must be of one line: rename it."
            )
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise ConfigError(
                f"the argument {shown} is not UTF-8, so no result could name it. Rename the file or folder."
            )


STOPPED = "stopped. Finished parts are kept; the same command goes on from there."


class ShownErrors(TyperGroup):
    """A group of commands whose usage errors give a terminal no orders, whatever the user typed."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Parse the arguments of the group."""
        with _shown_usage():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of a command and run it; typer ends with 130 if it is stopped from the keyboard, and says nothing."""
        with _shown_usage():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                sys.stderr.write(f"\nrepdrift: {STOPPED}\n")
                raise


@contextmanager
def _shown_usage() -> Generator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and isinstance(message := getattr(error, "message", None), str):
            error.message = for_terminal(message)  # pyright: ignore[reportAttributeAccessIssue]
        raise


class Guarded:
    """A text stream that writes no secret; else it is the stream that it wraps."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(without_secrets(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded_output() -> Generator[None]:
    """Standard output and standard error write no secret inside the block, whichever library prints.

    An exception that is a defect of ours leaves the block as it is, but its traceback is printed without secrets.
    """
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", Guarded(stdout)), cast("TextIO", Guarded(stderr))
    try:
        yield
    except Exception:
        sys.excepthook = _print_without_secrets
        raise
    finally:
        sys.stdout, sys.stderr = stdout, stderr


def _print_without_secrets(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    sys.stderr.write(for_terminal("".join(traceback.format_exception(kind, error, at))))
