"""Patching in the files of a comparison: a tidy table, and a section of the summary."""

from __future__ import annotations

import pandas as pd

from repdrift.core.patching_words import TABLE_HEADER, how_patched, patching_rows
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.patching import PATCHING_COLUMNS
from repdrift.core.words import markdown_text, short_number


def patching_table(result: Comparison) -> pd.DataFrame:
    """One row for each model, layer and direction; a model that was not patched has one row with the reason under `note`.

    note: of a patched model, the sentences that change how its numbers are to be read."""
    rows: list[dict[str, object]] = []
    notes_of = {model.name: model.notes for model in result.compared}
    for found in result.patching:
        common = {
            "model": found.model,
            "reference": found.reference,
            "unit": found.unit,
            "n": found.samples or None,
            "note": found.reason or " ".join([*notes_of.get(found.model, []), *found.notes]) or None,
        }
        if found.status != "patched":
            rows.append({**common, "change": found.change})
        for at in found.layers:
            for direction, share, change in (
                ("reference_into_model", at.undone, found.change),
                ("model_into_reference", at.brought, found.change_back),
            ):
                numbers = {"share": share.share, "low": share.low, "high": share.high, "distance": share.distance}
                rows.append({**common, "direction": direction, "layer": at.layer, **numbers, "change": change})
    return pd.DataFrame(rows, columns=list(PATCHING_COLUMNS)).astype({"layer": "Int64", "n": "Int64"})


def patching_section(result: Comparison) -> list[str]:
    """The lines of the summary in Markdown; none if nothing was to be patched."""
    if not result.patching:
        return []
    lines = ["## Which layers the output change goes through", ""]
    lines += [text for sentence in how_patched(result) for text in (markdown_text(sentence), "")]
    for found in result.patching:
        lines += [f"### {markdown_text(found.model)}", ""]
        if found.status != "patched":
            lines += [f"Not patched: {markdown_text(found.reason or '')}", ""]
            continue
        if found.reference != "base":
            lines += [f"The reference is {markdown_text(found.reference)}.", ""]
        lines += [
            f"The outputs ({found.outputs}) differ from the reference's by a KL of {short_number(found.change or 0.0)} {found.unit}, and by "
            f"{short_number(found.change_back or 0.0)} the other way round; the noise is "
            f"{short_number(found.noise or 0.0)}.",
            "",
        ]
        lines += [text for note in found.notes for text in (f"Mind: {markdown_text(note)}", "")]
        lines += [f"| {' | '.join(TABLE_HEADER)} |", "|---" * len(TABLE_HEADER) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in patching_rows(found)]
        lines += [""]
    return lines
