"""Flips: rows that the base model got right and the tuned model gets wrong, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from repdrift.core.records.outcomes import ON_TASK, RIGHT_OR_WRONG, OutcomeInfo
from repdrift.core.row_scores import RowScores
from repdrift.outcomes.outcome import Measured, MeasuredItems, ScoredRows, Subject, no_options, on_rows, outcomes

_LOST = OutcomeInfo(
    name="right_to_wrong",
    title="flips from right to wrong",
    unit="share of rows",
    higher_is_better=False,
)
_WON = OutcomeInfo(
    name="wrong_to_right",
    title="flips from wrong to right",
    unit="share of rows",
    higher_is_better=True,
)


class FlipsFromBase:
    """Flips against the base model, where it can do the task untrained. Flips between arms follow from their task scores."""

    name = "flips"
    title = "Flips against the base model"
    usual = True
    shares_batches = False

    def options(self, given: object) -> dict[str, Any]:
        """Takes none."""
        return no_options(self.name, given)

    def that_count(self, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Returns none."""
        return {}

    def for_key(self, subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Returns the rows that are scored."""
        return on_rows(subject)

    def applies(self, subject: Subject, options: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Returns why nothing can flip from the base model: it has no head for the task, or no row is right or wrong."""
        if subject.task_kind != "causal_lm":
            return (
                "the base model has no head for this task until it is trained, so there is nothing to flip from; flips between methods are told by "
                "the analysis"
            )
        if not subject.has_scorer:
            return (
                "the task has no scorer that says whether a continuation is right (scorer: in its entry of the study)"
            )
        return None

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:  # noqa: ARG002
        """Compare what is right in the base model with what is right in the tuned one."""
        scored = subject.scored
        score = right_or_wrong(scored)
        assert score is not None  # noqa: S101  `applies` looked
        assert score.base_values is not None  # noqa: S101
        right, was_right = score.values >= 1, score.base_values >= 1
        return Measured(
            [
                MeasuredItems(
                    info=info,
                    inputs=ON_TASK,
                    ids=scored.ids,
                    values=flipped.astype(np.float64),
                    groups=scored.groups,
                )
                for info, flipped in ((_LOST, was_right & ~right), (_WON, right & ~was_right))
            ],
            notes=[f"A row is right where its {score.name} is 1."],
        )


def right_or_wrong(scored: ScoredRows) -> RowScores | None:
    """Returns the score that says of each row whether it is right; None if the task has none."""
    return next((score for score in scored.scores if score.name in RIGHT_OR_WRONG), None)


outcomes.add(FlipsFromBase.name, FlipsFromBase())
