"""The record of a base model's final hidden states on disk, which stand in for running it once more."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

BASE_STATES_FILE = "states.json"
"""Written last: a folder without it is unfinished."""


class BaseStatesRecord(Record):
    """The final hidden states of one base model over one sample set, where its predictions are read; one file for each batch."""

    format_version: Literal[1] = 1
    key: str
    """SHA-256 of everything that determines the states: weights, samples, places, number formats, device, versions."""
    plan: dict[str, int | None]
    """The settings of the batch plan. A model that is read beside these states takes the same batches."""
    files: dict[str, str]
    """SHA-256 of each batch's file, by its name."""
    places: int
    """Tokens that have a state."""
    width: int
    versions: dict[str, str]
