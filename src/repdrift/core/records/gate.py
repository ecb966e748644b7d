"""The verdicts of a gate: limits that a comparison was held to, each gated number with its interval, and what came out."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

GateVerdict = Literal["passed", "failed", "not judged"]


class GatedNumber(Record):
    """One number of one model that was held against its limit."""

    model: str
    what: str
    """Its name in a sentence."""
    unit: str = ""
    limit: float
    value: float | None = None
    """Null where there is no number; `reason` says why."""
    low: float | None = None
    high: float | None = None
    """The interval, of which all lower ends of the gate hold together; null where there is none."""
    verdict: GateVerdict
    reason: str
    """One or more whole sentences."""


class GateResult(Record):
    """The verdict on a comparison: failed if a number failed; else not judged if one was not; else passed."""

    verdict: GateVerdict
    fail_above: float | None = None
    """The limit of the drift; null where only outcomes have limits."""
    measure: str
    """The measure of the gated drift."""
    sites: list[str]
    layers: list[int] | None = None
    """The gated layers; null for all that were compared."""
    by_layer: bool = True
    """Whether each layer was held to the limit by itself."""
    mean: bool = False
    """Whether the mean over the layers was."""
    outcomes: dict[str, float] = {}
    """Limits by the name of the outcome."""
    numbers: list[GatedNumber]
    counts: str
    """How many numbers failed, could not be judged and passed, in words."""
    how: str
    """How it was judged, in whole sentences: what failing means, and that passing does not show that a limit is kept."""
