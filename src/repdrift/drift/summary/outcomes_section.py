"""The summary's section on what the models can do, beside their drift."""

from __future__ import annotations

from repdrift.core.outcome_words import (
    TextTable,
    arms_table,
    differences_table,
    flips_table,
    not_there,
    outcome_answer,
    probes_table,
)
from repdrift.core.records.outcomes import OUTCOMES_CSV, StudyOutcomes
from repdrift.core.words import markdown_text
from repdrift.drift.summary.result_tables import markdown_table


def outcomes_section(found: StudyOutcomes | None, confidence: float) -> str:
    """Returns the answer, then tables and what is not there; empty if no outcome was measured."""
    if found is None:
        return ""
    answer = [f"- {markdown_text(line)}" for line in outcome_answer(found, confidence)]
    blocks = ["\n".join(answer)] if answer else ["No outcome that was asked for applies to these models."]
    if (arms := arms_table(found)).rows:
        blocks.append(
            "Means over the models of a method. An interval is that of the difference from the base model, paired over items, or of the value where "
            f"the base model has none. {OUTCOMES_CSV} has every model, outcome_items.parquet every item.\n\n{_table(arms)}"
        )
    if (differences := differences_table(found)).rows:
        blocks.append(f"Methods against the reference, paired over items:\n\n{_table(differences)}")
    if (probes := probes_table(found)).rows:
        blocks.append(
            f"Accuracy of a probe of each layer, with the difference from the base model and its interval:\n\n{_table(probes)}"
        )
    if (flips := flips_table(found)).rows:
        blocks.append(f"Rows that one model gets right and the other wrong:\n\n{_table(flips)}")
    if found.notes:
        blocks.append("\n".join(f"- {markdown_text(note)}" for note in found.notes))
    if left_out := not_there(found):
        blocks.append(
            "Not measured, or does not apply:\n\n" + "\n".join(f"- {markdown_text(line)}" for line in left_out)
        )
    return "\n\n".join(blocks)


def _table(table: TextTable) -> str:
    return markdown_table(table.header, table.rows)
