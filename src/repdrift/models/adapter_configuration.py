"""The configuration file of an adapter, as it is written beside the adapter's weights."""

from __future__ import annotations

import json
from pathlib import Path

from repdrift.core.errors import ModelError
from repdrift.core.reading import reading_errors

_SETS = ("target_modules", "exclude_modules")
"""Entries that peft keeps as sets, whose order differs from process to process."""


def sort_sets(file: Path) -> None:
    """Puts the names that peft keeps as sets in order, so that two processes write the same file of the same adapter.

    The file belongs to a model that is being saved: its writer renames the whole. Raises ModelError if it cannot be read.
    """
    with reading_errors(file, ModelError):
        content = json.loads(file.read_text(encoding="utf-8"))
    for name in _SETS:
        if isinstance(content.get(name), list):
            content[name] = sorted(content[name])
    file.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
