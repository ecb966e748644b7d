"""Names of outcomes as people read them."""

from __future__ import annotations

_SCORES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "exact_match": "exact match",
    "contains": "answers contained",
    "numeric": "right numbers",
    "regex": "matched answers",
    "loss": "loss",
}


def score_title(name: str) -> str:
    """Returns the display name of a task's score, `exact match`; a score without one keeps its name."""
    return _SCORES.get(name, name.replace("_", " "))
