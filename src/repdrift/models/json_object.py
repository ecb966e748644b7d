"""JSON objects in a model's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from repdrift.core.errors import ModelError
from repdrift.core.reading import reading_errors

_AGAIN = "Copy or download it again."
_LARGEST_BYTES = 64 << 20
"""Far above the index of the largest checkpoints. What Python makes of JSON takes several times the file's size."""


def read_json_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in the file `path`. Raises ModelError if it cannot be read, or holds anything else."""
    try:
        with reading_errors(path, ModelError, _AGAIN):
            size = path.stat().st_size
            if size > _LARGEST_BYTES:
                raise ModelError(f"{path} has {size:,} bytes; settings have {_LARGEST_BYTES:,} at most. {_AGAIN}")
            content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} cannot be read as JSON: {error}. {_AGAIN}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} should hold a JSON object, got {type(content).__name__}")
    return content
