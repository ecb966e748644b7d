"""The record of outputs that were reduced while another pass ran the model, and wait to be taken into the run's outcomes."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record
from repdrift.core.records.outcomes import ShadedTokens

PASSED_OUTPUTS_FILE = "passed.json"
"""Written last: a folder without it is unfinished."""


class PassedOutputsRecord(Record):
    """Token outcomes of one tuned model over one sample set, as sums over the tokens of each sample; one file for each batch."""

    format_version: Literal[1] = 1
    key: str
    """SHA-256 of everything that determines the sums: both models, samples, places, options, device, versions."""
    plan: dict[str, int | None]
    """The settings of the batch plan, by which the sums of a batch find their samples."""
    outcomes: list[str]
    """The outcomes, in the order of the first axis of each batch's tensor."""
    files: dict[str, str]
    """SHA-256 of each batch's file, by its name."""
    notes: list[str]
    """Sentences on whose head was read and which texts have values."""
    strips: list[ShadedTokens] | None = None
    """Texts whose predictions changed most, token by token; null where they were not kept."""
    versions: dict[str, str]
