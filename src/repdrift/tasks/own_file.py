"""Makes a task from a user's file: finds which of its columns hold the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.tasks.data_files import columns_of
from repdrift.tasks.spec import TaskSpec

# The columns that hold the text in common data sets. Pairs come first: a question without its context is half a sample.
_USUAL_TEXT_COLUMNS = (
    ("question", "context"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text",),
    ("sentence",),
    ("content",),
    ("document",),
    ("prompt",),
)


def spec_of_file(path: Path, *, text_columns: Sequence[str] | None = None, id_column: str | None = None) -> TaskSpec:
    """Make a task without labels, named after the file `path`, whose evaluation rows are those of the file.

    text_columns: one or two; None: columns of usual names, or the only column that holds texts.
    Raises DataError if the file cannot be read or its text columns cannot be told; UnknownNameError if it lacks a column
    that was named.
    """
    columns = columns_of(path)
    for name in (*(text_columns or ()), *([id_column] if id_column else ())):
        if name not in columns:
            raise UnknownNameError.of(f"column of {path}", name, columns)
    chosen = tuple(text_columns) if text_columns else _text_columns(path, columns)
    if len(chosen) > 2:
        raise DataError(f"{path}: at most two text columns make a sample, got {', '.join(chosen)}")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).lstrip("_.-") or "data"
    return TaskSpec(
        name=name,
        kind="classification",
        text_columns=chosen,
        label_column=None,
        id_column=id_column,
        title=f"{path.name}: a file of your own",
        files={"validation": path},
    )


def _text_columns(path: Path, columns: dict[str, type]) -> tuple[str, ...]:
    texts = [name for name, kind in columns.items() if kind is str]
    for usual in _USUAL_TEXT_COLUMNS:
        if all(name in texts for name in usual):
            return usual
    if len(texts) == 1:
        return (texts[0],)
    raise DataError(
        f"{path}: which column holds the text? It has {', '.join(_described(columns))}. Name it with --text-column (twice for a pair)."
    )


def _described(columns: dict[str, type]) -> list[str]:
    """The columns' names; a column that holds no text is followed by its type."""
    return [name if kind is str else f"{name} (no text: {kind.__name__})" for name, kind in columns.items()]
