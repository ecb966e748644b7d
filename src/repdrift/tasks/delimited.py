"""Reads csv and tsv files: separator, quoting and header are found from the whole head, or asked for."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.words import counted
from repdrift.tasks.csv_dialect import (
    Dialect,
    Fields,
    find_dialect,
    first_ragged,
    has_line_break,
    read_fields,
    rows_alike,
    stands_without_quoting,
)
from repdrift.tasks.csv_header import column_names
from repdrift.tasks.data_table import Column, DataTable, example, require_distinct
from repdrift.tasks.spec import FileFormat

_SAID_BY_EXCEL = re.compile(r'^"?sep=(.)"?\r?\n?', re.IGNORECASE)
_MISSING = frozenset({"nan", "null", "none", "<na>", "na", "n/a", "#n/a"})
"""Texts that programs write into csv files where a value is missing, without regard to capitals."""


def read_delimited(path: Path, text: str, file_format: FileFormat, *, named: Collection[str]) -> DataTable:
    """Read the rows of a csv or tsv file from its content. named: columns that the caller needs; empty: not known yet.

    A row that has not as many fields as the first line, a separator that cannot be told, and a first line that may be data
    are refused with a DataError that says what is there and what to do. Lines without any field are left out.
    """
    told = _SAID_BY_EXCEL.match(text)
    skipped = 1 if told else 0
    if told:
        text = text[told.end() :]
    asked = _asked_separator(file_format.separator) or (told.group(1) if told else None)
    dialect = find_dialect(path, text, asked, named)
    fields = read_fields(text, dialect)
    broken = [line for row, line in zip(fields.rows, fields.lines, strict=False) if has_line_break(row)]
    if fields.fault or broken:
        # A quote that opens and never closes swallows lines, perhaps up to the next one. Without quoting they are rows like others.
        plain_dialect = Dialect(dialect.separator, quoted=False, spaced=dialect.spaced)
        plain = read_fields(text, plain_dialect)
        whole = not fields.fault and first_ragged(fields) is None
        if stands_without_quoting(plain) and not (whole and not rows_alike(plain, set(fields.lines))):
            fields, dialect = plain, plain_dialect
    fields.lines = [line + skipped for line in fields.lines]
    if fields.fault:
        raise DataError(
            f"{path}, line {fields.lines[-1]}: not valid CSV ({fields.fault}). A text that holds the separator ({dialect}), a "
            "quotation mark or a line break must stand in quotation marks, and its own marks must be doubled."
        )
    if not fields.rows:
        return DataTable(str(path), {}, [], "line")
    if (odd := first_ragged(fields)) is not None:
        _refuse_ragged(path, fields, odd, dialect)
    _cut_trailing(fields)
    names, header = column_names(path, fields.rows, fields.lines, file_format.header, named)
    if header:
        del fields.rows[0], fields.lines[0]
    require_distinct(names, str(path))
    columns = {name: Column(lambda i=i: [row[i] for row in fields.rows]) for i, name in enumerate(names)}
    one = len(names) == 1
    how = "" if one else f"separator: {dialect}"
    notes = [] if header else ["No line names the columns, as was asked for: the first line is data."]
    if one and fields.blank:
        notes.append(
            f"{counted(len(fields.blank), 'line')} without text left out; the first is line {fields.blank[0] + skipped}."
        )
    if broken and dialect.quoted:
        notes.append(
            f"{counted(len(broken), 'row')} with line breaks inside quotation marks; the first is line {broken[0] + skipped}."
        )
    comments = [line for row, line in zip(fields.rows, fields.lines, strict=True) if row[0].startswith("# ")]
    if 0 < len(comments) <= len(fields.rows) // 2:
        notes.append(
            f"Read as rows like all others, though they begin with '# ' as comments do: {counted(len(comments), 'row')}; the first is line {comments[0]}."
        )
    if not dialect.quoted:
        notes.append("Quotation marks are read as characters of the text, since they do not enclose whole fields.")
    return DataTable(str(path), columns, fields.lines, "line", how, tuple(notes), missing=_MISSING)


def _asked_separator(separator: str | None) -> str | None:
    if separator is None:
        return None
    separator = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(separator.casefold(), separator)
    if len(separator) != 1 or separator in '\r\n"':
        raise ConfigError(f"the separator should be one character or `tab`, got {separator!r}")
    return separator


def _cut_trailing(fields: Fields) -> None:
    """Takes away the empty field that a separator at the end of every line makes."""
    width = len(fields.rows[0])
    if width > 1 and all(row[-1] == "" for row in fields.rows if len(row) == width):
        width -= 1
    for row in fields.rows:
        del row[width:]


def _refuse_ragged(path: Path, fields: Fields, odd: int, dialect: Dialect) -> None:
    row, width = fields.rows[odd], len(fields.rows[0])
    shown = example(dialect.separator.join(row))
    if width == 1:
        raise DataError(
            f"{path}, line {fields.lines[odd]}: {counted(len(row), 'field')} where the first line has one (separator: {dialect}): {shown}. "
            "If each line of the file is one text, give it the ending .txt; else put texts that hold the separator in quotation marks, or "
            "name the separator: --separator on the command line, `separator:` in the task's entry of a study."
        )
    raise DataError(
        f"{path}, line {fields.lines[odd]}: expected {width} fields as in the header, got {len(row)} (separator: {dialect}): {shown}. "
        "Put texts that hold the separator in quotation marks, or name another separator: --separator on the command line, `separator:` "
        "in the task's entry of a study."
    )
