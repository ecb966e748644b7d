"""Holds a study of learning rates against numbers that were measured independently beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studies.account.cells import drift_cell, name_cell, table
from studies.account.facts import StudyFacts

from repdrift.core.words import short_drift


@dataclass(frozen=True)
class PilotCheck:
    """One arm of the pilot beside the same arm here. near: whether score and drift agree within the pilot's own spread."""

    arm: str
    metric: str
    expected_score: float
    score: float | None
    expected_drift: float
    drift: float | None
    near: bool
    apart: float | None = None
    """How far the scores of the arm's seeds lie apart; None for fewer than two."""
    tolerance: float = 0.0
    """By how much a score may differ."""

    with_embeddings: float | None = None
    """The drift found, as a mean that counts the embeddings as one more layer, whose drift is next to none."""
    near_with_embeddings: bool = False
    """Whether that mean agrees with the one expected, whatever the score does."""

    @property
    def seeds_decide(self) -> bool:
        """True if two seeds of the arm differ by more than the score may differ from the earlier measurement."""
        return self.apart is not None and self.apart > self.tolerance

    @property
    def words(self) -> str:
        """Both numbers, expected and found."""
        found = (
            "missing" if self.score is None or self.drift is None else f"{self.score:.3f} and {short_drift(self.drift)}"
        )
        return f"{self.expected_score:.3f} and {short_drift(self.expected_drift)} expected, {found} found"


def pilot_checks(facts: StudyFacts, expected: Mapping[str, Any]) -> list[PilotCheck]:
    """Compares every arm that the expectation names.

    expected: `task`, `score_tolerance` (absolute), `drift_tolerance` (as a share of the drift), and by arm `score` and `drift`.
    """
    found: list[PilotCheck] = []
    for arm, (score, drift) in ((name, (each["score"], each["drift"])) for name, each in expected["arms"].items()):
        here, models = facts.score(expected["task"], arm), facts.models(expected["task"], arm)
        layers = len(facts.data.layers)
        counted = None if models.drift is None else models.drift * layers / (layers + 1)
        near = (
            here is not None
            and models.drift is not None
            and abs(here.mean - score) <= expected["score_tolerance"]
            and abs(models.drift / drift - 1) <= expected["drift_tolerance"]
        )
        found.append(
            PilotCheck(
                arm,
                here.metric if here else "",
                score,
                here.mean if here else None,
                drift,
                models.drift,
                near,
                _apart(facts, expected["task"], arm),
                expected["score_tolerance"],
                counted,
                counted is not None and abs(counted / drift - 1) <= expected["drift_tolerance"],
            )
        )
    return found


def _apart(facts: StudyFacts, task: str, arm: str) -> float | None:
    scores = [
        run.learnt.score
        for run in facts.data.results.runs
        if (run.task, run.method, run.step, run.status) == (task, arm, 0, "ok") and run.learnt is not None
    ]
    return max(scores) - min(scores) if len(scores) > 1 else None


def layers_table(facts: StudyFacts, expected: Mapping[str, Any]) -> str:
    """Drift by layer of the arms that were measured by layer before, each beside its expectation."""
    rows: list[list[str]] = []
    for arm, drifts in expected["by_layer"]["arms"].items():
        found = facts.models(expected["task"], arm).by_layer
        rows += [
            [f"{name_cell(facts.title(arm))}, before", *map(drift_cell, drifts)],
            [f"{name_cell(facts.title(arm))}, here", *map(drift_cell, found)],
        ]
    return table(["", *(f"layer {layer}" for layer in facts.data.layers)], rows)
