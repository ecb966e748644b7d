"""The way from a record to how a notebook shows it. The room that shows is found by name, so that records depend on no table or figure."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def notebook_view(subject: str) -> Any:
    """Returns the module of `repdrift.notebook` that shows one kind of record: `comparison_view` or `study_view`."""
    return import_module(f"repdrift.notebook.{subject}")
