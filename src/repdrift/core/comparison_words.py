"""Sentences that the record, the summary and the figure of a comparison share."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import some_listed


def note_sentences(models: Sequence[ComparedModel], *, mark: str = "") -> list[str]:
    """The notes on models, each with the names of the models that it concerns: `a and b: Its weights are ...`.

    mark: what stands behind each name.
    """
    holders: dict[str, list[str]] = {}
    for model in models:
        for note in model.notes:
            holders.setdefault(note, []).append(f"{model.name}{mark}")
    return [f"{some_listed(names)}: {note}" for note, names in holders.items()]


def warnings_beside_notes(result: Comparison) -> list[str]:
    """The warnings that stand neither in the headline nor beside a model's numbers."""
    said = {*result.headline, *note_sentences([*result.compared, *result.by_grid])}
    return [warning for warning in result.warnings if warning not in said]
