"""Notes that all cells of one number share: they stand once below the table, and not as a footnote at every cell."""

from __future__ import annotations

from dataclasses import replace

from repdrift.core.words import sentence_case
from repdrift.report.tables.contents import Cell, Column, ResultsTable


def with_shared_below(table: ResultsTable) -> ResultsTable:
    """Returns the table with the notes that several cells of a number have, and none of its other cells lacks, below it."""
    shared = _shared(table)

    def stripped(column: Column, cell: Cell) -> Cell:
        if cell.missing(column.kind):
            return cell
        known = shared.get((column.exact, column.kind), [])
        return replace(cell, notes=[note for note in cell.notes if note not in known])

    rows = [
        replace(row, cells=[stripped(column, cell) for column, cell in zip(table.columns, row.cells, strict=True)])
        for row in table.rows
    ]
    below = [f"{_title(exact)}: {note}" for (exact, _), notes in shared.items() for note in notes]
    return replace(table, rows=rows, general_notes=[*dict.fromkeys(below), *table.general_notes])


def _shared(table: ResultsTable) -> dict[tuple[str, str], list[str]]:
    by_name: dict[tuple[str, str], list[Cell]] = {}
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            if not cell.missing(column.kind):
                by_name.setdefault((column.exact, column.kind), []).append(cell)
    return {
        key: [note for note in cells[0].notes if all(note in cell.notes for cell in cells)]
        for key, cells in by_name.items()
        if len(cells) > 1
    }


def _title(exact: str) -> str:
    return exact if exact == "p" else f"{sentence_case(exact.replace('_', ' '))}, every value"
