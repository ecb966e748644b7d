"""A table in Markdown: names escaped, footnotes as letters in brackets with a list below."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.words import markdown_text, pvalue
from repdrift.report.tables.contents import Cell, Column, Footnotes, ResultsTable
from repdrift.report.tables.digits import rounded

_DASH = "–"


def markdown(table: ResultsTable, digits: int) -> str:
    """Returns the caption, the table and its footnotes. The head of a group stands before the heads of its columns."""
    notes = Footnotes()
    heads = [
        f"{f'{group.head}: ' if group.head and column.head else group.head}{column.head}{_marks(notes, column.notes)}"
        for group in table.groups
        for column in group.columns
    ]
    columns = table.columns
    rows = [
        [*row.names, *(_cell(cell, column, notes, digits) for cell, column in zip(row.cells, columns, strict=True))]
        for row in table.rows
    ]
    lines = [markdown_text(table.caption), "", _row([*table.name_heads, *heads])]
    lines.append("|" + "---|" * len(table.name_heads) + "---:|" * len(heads))
    lines += [_row(row) for row in rows]
    found = [f"({mark}) {note.rstrip('.')}." for mark, note in notes.found]
    found += [f"{note.rstrip('.')}." for note in table.general_notes]
    return "\n".join([*lines, *(["", *(f"- {markdown_text(note)}" for note in found)] if found else []), ""])


def _cell(cell: Cell, column: Column, notes: Footnotes, digits: int) -> str:
    marks = _marks(notes, cell.notes)
    if cell.missing(column.kind):
        return f"{_DASH}{marks}"
    if column.kind == "text":
        return f"{cell.text}{marks}"
    if column.kind == "p":
        return f"{pvalue(cell.value)}{marks}"
    scale = 100.0 if column.kind.startswith("percent") else 1.0
    if column.kind in ("interval", "percent interval"):
        low, high = (_number(scale * end, None, digits) for end in (cell.low or 0.0, cell.high or 0.0))
        return f"{low} to {high}{marks}"
    return (
        f"{_number(scale * (cell.value or 0.0), None if cell.spread is None else scale * cell.spread, digits)}{marks}"
    )


def _number(value: float, spread: float | None, digits: int) -> str:
    found = rounded(value, spread, digits)
    if found.tiny:
        return f"below {found.number} in size"
    return f"{found.number} ± {found.spread}" if found.spread else found.number


def _marks(notes: Footnotes, of: Sequence[str]) -> str:
    marks = notes.marks(of)
    return f" ({', '.join(marks)})" if marks else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_text, cells))} |"
