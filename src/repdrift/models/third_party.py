"""The one boundary to other people's loaders: whatever they raise comes out as a ModelError that names the model."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from repdrift.core.errors import ModelError, RepdriftError


@contextmanager
def loader_errors(what: str, next_step: str = "") -> Generator[None]:
    """Turns every exception of a third-party loader inside the block into a ModelError.

    what: what was being done, with the path ("cannot read the configuration in /models/a"). next_step: a sentence to end
    with. Errors of our own pass as they are, as do memory errors, which callers handle by smaller pieces.
    Raises ModelError with the first line of the loader's message, and its type where the message is empty.
    """
    try:
        yield
    except (RepdriftError, MemoryError):
        raise
    except Exception as error:  # transformers, tokenizers, safetensors, peft and quantisers share no error tree
        raise ModelError(f"{what}: {first_line(error)}" + (f" {next_step}" if next_step else "")) from error


def first_line(error: BaseException) -> str:
    """Returns the message of another library's error in one line: its first line, and the second if the first is a heading."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
