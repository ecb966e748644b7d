"""Notes that all cells of one kind share: they stand once in the caption, and not as a footnote at every number."""

from __future__ import annotations

from dataclasses import replace

from repdrift.report.tables.contents import Cell, Column, ResultsTable


def shared_notes(table: ResultsTable) -> dict[str, list[str]]:
    """Returns by the exact name of a column the notes that every cell with a value has."""
    found: dict[str, list[str]] = {}
    for (exact, _), notes in _shared(table).items():
        found.setdefault(exact, []).extend(notes)
    return found


def without_shared(table: ResultsTable) -> ResultsTable:
    """Returns the table without the footnotes that `shared_notes` tells, for a caption that has them."""
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
    return replace(table, rows=rows)


def _shared(table: ResultsTable) -> dict[tuple[str, str], list[str]]:
    by_name: dict[tuple[str, str], list[Cell]] = {}
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            if not cell.missing(column.kind):
                by_name.setdefault((column.exact, column.kind), []).append(cell)
    return {
        key: [note for note in cells[0].notes if all(note in cell.notes for cell in cells)]
        for key, cells in by_name.items()
    }
