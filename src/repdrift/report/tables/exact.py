"""A table as tidy csv: one row for each cell, with exact values and its footnotes in words."""

from __future__ import annotations

import pandas as pd

from repdrift.core.csv_table import csv_text
from repdrift.report.tables.contents import ResultsTable

EXACT_COLUMNS = ("row", "column", "number", "value", "spread", "low", "high", "text", "note")


def exact_csv(table: ResultsTable) -> str:
    """Returns the csv text: `row` and `column` as people write them, the name of the number, its value, spread and interval, and notes."""
    rows: list[dict[str, object]] = []
    before = [""] * len(table.name_heads)
    for row in table.rows:
        before = [name or last for name, last in zip(row.names, before, strict=True)]
        cells = iter(row.cells)
        for group in table.groups:
            by_name: dict[str, dict[str, object]] = {}
            for column in group.columns:
                cell = next(cells)
                found = by_name.setdefault(column.exact, {})
                found |= {"row": ", ".join(before), "number": column.exact}
                found.setdefault("column", group.head or column.head)
                found |= {n: v for n in ("value", "spread", "low", "high") if (v := getattr(cell, n)) is not None}
                found["text"] = cell.text or found.get("text")
                said = dict.fromkeys([*str(found.get("note") or "").split("; "), *cell.notes])
                found["note"] = "; ".join(note for note in said if note) or None
            rows += by_name.values()
    return csv_text(pd.DataFrame(rows, columns=list(EXACT_COLUMNS)))
