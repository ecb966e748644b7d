"""The interval at which the state of a training is saved, as a study file writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

NEVER = "never"
_INTERVAL = re.compile(r"([1-9]\d{0,6})\s*(steps?|min|minutes?)")


@dataclass(frozen=True)
class SaveInterval:
    """The time between two saved states: every so many steps, every so many minutes, or never if both are None."""

    steps: int | None = None
    minutes: int | None = None

    @classmethod
    def parse(cls, text: str) -> SaveInterval:
        """The interval in `text`: `200 steps`, `15 min` or `never`. Raises ValueError for anything else."""
        if text.strip() == NEVER:
            return cls()
        if not (found := _INTERVAL.fullmatch(text.strip())):
            raise ValueError(f"expected such as '200 steps', '15 min' or '{NEVER}', got {text!r}")
        number = int(found[1])
        return cls(steps=number) if found[2].startswith("step") else cls(minutes=number)
