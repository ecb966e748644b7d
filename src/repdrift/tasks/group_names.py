"""The groups of rows: read from a column of the user's, or told by a text that rows share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.data_files import Row
from repdrift.tasks.data_table import DataTable
from repdrift.tasks.spec import TaskSpec

_DIGITS = 16
"""Hexadecimal digits of a text's SHA-256 that name its group: two texts of a million share them with a chance of 3e-8."""


def group_names(table: DataTable, name: str, kept: Sequence[int]) -> list[str]:
    """The groups that column `name` gives the rows `kept` of a table, as texts; a whole number is written without a decimal point.

    Raises DataError with the row for a cell that is missing or blank, or is neither a text nor a whole number.
    """
    values = table.columns[name].values
    return [_name(values[row], table, row, name) for row in kept]


def groups_of(spec: TaskSpec, rows: Sequence[Row]) -> tuple[str, ...] | None:
    """The group of every row, or None if the task has none, or the rows lack the column. A text names its group by its hash."""
    column = spec.groups_by
    if column is None or (rows and column not in rows[0]):
        return None
    if column in spec.text_columns:
        return tuple(
            hashlib.sha256(repr(row[column]).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS] for row in rows
        )
    return tuple(str(row[column]) for row in rows)


def _name(value: Any, table: DataTable, row: int, column: str) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # whole numbers, in a column that once had gaps
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _missing(table, row, column, "none")
    if isinstance(value, str):
        if not value.strip() or (table.missing and value.strip().casefold() in table.missing):
            raise _missing(table, row, column, repr(value) if value else "none")
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(
            f"{table.at(row)}: column {column!r} should name the row's group by a text or a whole number, got {str(value)[:60]!r}"
        )
    return str(value)


def _missing(table: DataTable, row: int, column: str, got: str) -> DataError:
    return DataError(
        f"{table.at(row)}: column {column!r} should name the row's group, got {got}. Fill in the group, give a row that belongs to no other one a "
        "name of its own, or leave the row out."
    )
