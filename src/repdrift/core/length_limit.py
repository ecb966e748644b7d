"""The longest input of a model: what its position table has room for, and what it was trained for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LengthLimit:
    """The most tokens of a sample that a model takes.

    most: tokens for which the model has positions; more cannot be run. None: positions are relative or computed, so that
    any length runs. trained: tokens that the configuration names as the longest; None: it names none. reason: where `most`
    comes from, in words.
    """

    most: int | None = None
    trained: int | None = None
    reason: str = ""

    @property
    def advised(self) -> int | None:
        """Tokens to take if nobody asks for another number; None if neither table nor configuration tells one."""
        return min((limit for limit in (self.most, self.trained) if limit is not None), default=None)
