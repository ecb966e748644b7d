"""A part of the headline, and how soon a small screen does without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clause:
    """A clause without its full stop. rank: 0 is never left out; of the others the highest is left out first."""

    text: str
    rank: int = 0
