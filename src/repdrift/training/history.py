"""history.jsonl beside run.json: loss, learning rate and scores along the way, one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repdrift.core.atomic import storage_errors, write_text
from repdrift.core.errors import StorageError
from repdrift.core.reading import reading_errors

HISTORY_FILE = "history.jsonl"
STEP = "step"
_LINES = 200


def log_interval(total_steps: int) -> int:
    """Returns the optimiser steps between two lines on the loss, so that a run has about 200 of them at most."""
    return max(1, math.ceil(total_steps / _LINES))


class History:
    """The history of one run, written line by line. Each line holds `step`, and numbers by name; one that is not finite is null."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY_FILE

    def append(self, step: int, values: Mapping[str, float | str | None]) -> None:
        """Add one line. Raises StorageError if the disk does not take it."""
        line = json.dumps({STEP: step, **{name: _plain(value) for name, value in values.items()}}, ensure_ascii=False)
        with storage_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def cut_after(self, step: int) -> None:
        """Drop the lines on later steps: a resumed run takes these steps again, and writes them again."""
        kept = [line for line in read_history(self.path.parent) if line[STEP] <= step]
        write_text(self.path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of a run's history, in order; none if the run has no history, as those of older versions.

    A line that is torn, as by a kill, or that is no JSON object with a step, is left out. Raises StorageError if the file
    cannot be read.
    """
    path = folder / HISTORY_FILE
    try:
        with reading_errors(path, StorageError):
            text = path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
    except FileNotFoundError:
        return []
    lines = [_object(line) for line in text.split("\n") if line.strip()]
    return [line for line in lines if line is not None]


def _object(line: str) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_whole = isinstance(content, dict) and isinstance(content.get(STEP), int)
    return content if is_whole else None


def _plain(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
