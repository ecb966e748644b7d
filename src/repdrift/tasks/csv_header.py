"""Decides whether the first line of a csv file names its columns or is data already; where it cannot tell, it asks."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.core.words import counted
from repdrift.tasks.column_names import known_names, name_surely
from repdrift.tasks.data_table import example

_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
_LONG_NAME = 50
_ROWS_LOOKED_AT = 1000


def column_names(
    path: Path, rows: Sequence[Sequence[str]], lines: Sequence[int], header: bool | None, named: Collection[str]
) -> tuple[list[str], bool]:
    """Returns the names of the columns, and whether the first row is the header.

    A header is what the user says, a line with a column that was asked for, or one that does not look like data. header: what the user
    says. A column without a name is `column N`, from 1. Raises DataError if the first line may be data, or comes again below.
    """
    first = [cell.strip() for cell in rows[0]]
    numbered = [f"column {number}" for number in range(1, len(first) + 1)]
    if header is False:
        return numbered, False
    if header is None and len(first) == 1 and not set(named) & set(first):
        pieces = [piece for piece in re.split(r"[^\w ]+", first[0]) if piece]
        if len(pieces) > 1 and known_names(pieces):
            raise DataError(
                f"{path}, line {lines[0]}: {example(first[0])} looks like the names of {len(pieces)} columns, but neither a comma, a semicolon, a tab nor "
                "a bar separates them. Name the separator: --separator on the command line, `separator:` in the task's entry of a study."
            )
    if header is None and not set(named) & set(first) and not name_surely(first):
        reason = _like_data(first, rows[1 : 1 + _ROWS_LOOKED_AT])
        if reason:
            raise DataError(
                f"{path}, line {lines[0]}: does {example(' | '.join(first))} name the columns, or is it data? ({reason}) If it names them, say --header, "
                f"or name the column of the text ({', '.join(map(repr, first[:6])) if len(' '.join(first)) < 200 else 'as it stands there'}); if it is data, say --no-header "
                "(the columns are then `column 1`, `column 2`, ...). In a study: `header: true` or `header: false` in the task's entry."
            )
    names = [name or number for name, number in zip(first, numbered, strict=True)]
    again = next((i for i, row in enumerate(rows) if i and row[0] == rows[0][0] and list(row) == list(rows[0])), None)
    if again is not None and len(first) > 1:
        raise DataError(
            f"{path}, line {lines[again]}: the names of the columns are there again, as if files had been joined; take that line out"
        )
    return names, True


def _like_data(first: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Says why a first line looks like data; empty if it does not."""
    for index, cell in enumerate(first):
        below = [row[index] for row in body]
        if not cell or known_names([cell]):
            continue
        if _NUMBER.fullmatch(cell):
            return f"{cell!r} is a number"
        if len(cell) > _LONG_NAME or cell[-1] in ".!":
            return f"{example(cell)} is no usual name"
        if len(cell.split()) > (2 if len(first) == 1 else 3):
            return f"{example(cell)} has {counted(len(cell.split()), 'word')}"
        if cell in (text.strip() for text in below):
            return f"{cell!r} is also a value in the lines below"
    lengths = sorted(len(row[0]) for row in body)
    if len(first) == 1 and not known_names(first) and lengths and len(first[0]) > lengths[len(lengths) // 2] / 2:
        return "it is about as long as the lines below"
    return ""
