"""Task scores: how well the trained model does its own task, row by row, with the head that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repdrift.core.outcome_words import score_title
from repdrift.core.records.outcomes import ON_TASK, OutcomeInfo
from repdrift.outcomes.outcome import Measured, MeasuredItems, Subject, no_options, on_rows, outcomes

_LESS_IS_BETTER = frozenset({"loss"})


class TaskScores:
    """The scores that training reports, on the same rows. The base model has one where it can do the task untrained."""

    name = "task_scores"
    title = "Task scores"
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
        """Applies to every model that was trained on a task."""
        return None

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:  # noqa: ARG002
        """Score the model on every row."""
        scored = subject.scored
        return Measured(
            [
                MeasuredItems(
                    info=score_info(score.name),
                    inputs=ON_TASK,
                    ids=scored.ids,
                    values=score.values,
                    base_values=score.base_values,
                    weights=score.weights,
                    groups=scored.groups,
                )
                for score in scored.scores
            ],
            notes=scored.notes,
        )


def score_info(name: str) -> OutcomeInfo:
    """Returns the meaning of a task's score by its name."""
    is_loss = name in _LESS_IS_BETTER
    return OutcomeInfo(
        name=name,
        title=score_title(name),
        unit="nats per token" if is_loss else "share of rows",
        higher_is_better=not is_loss,
    )


outcomes.add(TaskScores.name, TaskScores())
