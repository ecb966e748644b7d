"""The page's section on what the models can do: the sentences and tables of the summary."""

from __future__ import annotations

from dataclasses import dataclass

from repdrift.core.outcome_words import (
    TextTable,
    arms_table,
    differences_table,
    flips_table,
    not_there,
    outcome_answer,
    probes_table,
)
from repdrift.core.worded_section import CaptionedTable
from repdrift.report.report_data import ReportData


@dataclass(frozen=True)
class OutcomesSection:
    """The section's content. left_out: what was not measured or does not apply, with the reason."""

    answer: list[str]
    tables: list[CaptionedTable]
    notes: list[str]
    left_out: list[str]


def outcomes_section(data: ReportData) -> OutcomesSection | None:
    """Returns the section; None if no outcome was measured."""
    found, confidence = data.results.outcomes, data.results.study.confidence
    if found is None:
        return None
    return OutcomesSection(
        outcome_answer(found, confidence),
        [
            _captioned(
                "Every outcome of every method",
                "Means over models. An interval is that of the difference from the base model, paired over items, or of the value where the base "
                "model has none",
                arms_table(found),
            ),
            _captioned(
                "Methods against the reference",
                "Differences of means over models, paired over items",
                differences_table(found),
            ),
            _captioned(
                "Probes by layer",
                "Accuracy of a probe of each layer, with the difference from the base model and its interval",
                probes_table(found),
            ),
            _captioned("Flips", "Rows that one model gets right and the other wrong", flips_table(found)),
        ],
        list(found.notes),
        not_there(found),
    )


def _captioned(title: str, caption: str, table: TextTable) -> CaptionedTable:
    return CaptionedTable(title, caption, table.header, table.rows)
