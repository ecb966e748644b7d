"""The error of a comparison in which not one model could be compared, with the reason for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repdrift.core.errors import ModelError
from repdrift.core.hidden_secrets import shown


class NothingComparedError(ModelError):
    """Not one model could be compared. reasons: the name of each model and why."""

    def __init__(self, lead: str, reasons: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join([f"{lead}:", *(f"  {name}: {reason}" for name, reason in reasons)]))
        self.reasons = tuple(reasons)

    def as_json(self) -> Any:
        """Returns the models under the names that they have in the JSON of a comparison."""
        models = [{"name": name, "status": "not comparable", "reason": reason} for name, reason in self.reasons]
        return shown({"models": models})
