"""Outputs of the tuned models in the files of a comparison: a tidy table, and a section of the summary."""

from __future__ import annotations

import pandas as pd

from repdrift.core.output_words import TABLE_HEADER, outputs_notes, outputs_rows
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import markdown_text

_COLUMNS = (
    *(
        "method",
        "outcome",
        "inputs",
        "unit",
        "value",
        "base_value",
        "difference",
        "low",
        "high",
        "n",
        "n_groups",
        "tokens",
    ),
    "note",
)


def has_outputs(result: Comparison) -> bool:
    """True if outputs of a model were measured."""
    return any(model.outputs is not None and model.outputs.changes for model in [*result.compared, *result.by_grid])


def outputs_table(result: Comparison) -> pd.DataFrame:
    """One row for each model and outcome; `method` holds the model's name, `note` all that changes how its number is read."""
    rows: list[dict[str, object]] = []
    for model in [*result.compared, *result.by_grid]:
        if model.outputs is None:
            continue
        for change in model.outputs.changes:
            row = change.model_dump(exclude={"title"})
            notes = [*model.notes, *model.outputs.notes, *([f"{change.note}."] if change.note else [])]
            rows.append({**row, "method": model.name, "note": " ".join(notes) or None})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def outputs_section(model: ComparedModel) -> list[str]:
    """Lines of Markdown on one model's outputs; none if they were not asked for."""
    if model.outputs is None:
        return []
    rows = [f"| {' | '.join(map(markdown_text, row))} |" for row in outputs_rows(model.outputs)]
    table = [f"| {' | '.join(TABLE_HEADER)} |", "|---" * len(TABLE_HEADER) + "|", *rows, ""] if rows else []
    notes = [f"- {markdown_text(note)}" for note in outputs_notes(model.outputs)]
    return ["### Outputs", "", *table, *notes, *([""] if notes else [])]
