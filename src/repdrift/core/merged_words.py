"""A merged study in words, for the first lines of every output."""

from __future__ import annotations

from repdrift.core.records.merged import MergedStudy
from repdrift.core.words import counted, listed


def merged_lines(merged: MergedStudy) -> list[str]:
    """Says of which studies a merged one is, what was measured anew, and what changes how the numbers are read."""
    parts = listed(
        [f"{source.label}, {source.study} ({counted(len(source.models), 'final model')})" for source in merged.sources]
    )
    how = (
        "drawn from the tables of their results alone: no drift was measured anew"
        if merged.from_tables
        else "measured anew over all their representation sets"
    )
    return [f"This analysis is of {len(merged.sources)} studies put together ({parts}), {how}.", *merged.cautions]
