"""The one boundary to other people's loaders: whatever they raise comes out as a ModelError that names the model."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from repdrift.core.errors import ModelError, RepdriftError
from repdrift.core.refusals import named_file, refused_reading

T = TypeVar("T")

# peft imports bitsandbytes where it is installed, which then recommends code from the hub. Such code is never used here.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

_NOT_SHOWN = re.compile(r"\s*For (more )?details,? look at [^.!]*report[.!]?", re.IGNORECASE)
"""A sentence of transformers on a report that is silenced, so that nobody sees it."""


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
    except OSError as error:  # of the operating system, if it names a file; else of transformers
        named = named_file(error)
        if error.errno and named is not None:
            raise ModelError(f"{what}: {refused_reading(named, error, next_step)}") from error
        raise ModelError(f"{what}: {_with_next(first_line(error), next_step)}") from error
    except Exception as error:  # transformers, tokenizers, safetensors, peft and quantisers share no error tree
        raise ModelError(f"{what}: {_with_next(first_line(error), next_step)}") from error


@contextmanager
def running_errors(what: str) -> Generator[None]:
    """Turns every exception while a model is run into a ModelError, memory errors included.

    what: what was being done, with the model's name. Errors of our own pass as they are.
    """
    try:
        yield
    except RepdriftError:
        raise
    except Exception as error:  # a model's own code may raise anything, and the other models are to be compared
        if _is_out_of_memory(error):
            raise ModelError(
                f"{what}: there is not enough memory ({first_line(error)}). Use smaller batches (--token-budget) or a smaller type "
                "(--compute-dtype bfloat16), or compare it by itself."
            ) from error
        kind, line = type(error).__name__, first_line(error)
        raise ModelError(f"{what}: {line if line.startswith(kind) else f'{kind}: {line}'}") from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate" in str(error) and "memory" in str(error)


def _with_next(reason: str, next_step: str) -> str:
    if not next_step:
        return reason
    return f"{reason}{'' if reason.endswith(('.', '!', '?', '`')) else '.'} {next_step}"


def first_line(error: BaseException) -> str:
    """Returns the message of another library's error in one line: its first line, and the second if the first is a heading."""
    text = _NOT_SHOWN.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    if isinstance(error, (KeyError, AttributeError, RecursionError)):  # their messages say little by themselves
        return f"{type(error).__name__}: {lines[0]}"
    return (" ".join(lines[:2]) if lines[0].endswith(":") else lines[0]).rstrip(",")


def _without_bar(items: Iterable[T], **_: object) -> Iterable[T]:
    return items


@contextmanager
def quiet_transformers() -> Generator[None]:
    """Silence the log messages and progress bars of transformers inside the block; they are restored afterwards."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    gguf: Any = sys.modules.get(
        "transformers.modeling_gguf_pytorch_utils"
    )  # its bar does not ask whether bars are wanted
    gguf_bar = getattr(gguf, "tqdm", None)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if gguf_bar is not None:
        gguf.tqdm = _without_bar
    try:
        with warnings.catch_warnings():
            # peft asks transformers for an attribute that transformers has renamed; a user can do nothing about it.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            # Ranks of a head, where the model is loaded without one; they are asked for where that is read.
            warnings.filterwarnings(
                "ignore", message="The following (rank|alpha)_pattern keys", category=RuntimeWarning
            )
            yield
    finally:
        logging.set_verbosity(verbosity)
        if gguf_bar is not None:
            gguf.tqdm = gguf_bar
        if bars:
            logging.enable_progress_bar()
