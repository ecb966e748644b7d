"""Reads csv and tsv files: finds the separator, the quoting and the header from the whole head, or asks."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.words import counted
from repdrift.tasks.column_names import known_names
from repdrift.tasks.csv_header import column_names
from repdrift.tasks.data_table import Column, DataTable, example, require_distinct
from repdrift.tasks.spec import FileFormat
from repdrift.tasks.text_files import lines_of

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "'|'"}
_HEAD_ROWS = 200
_HEAD_CHARACTERS = 10_000
_SAID_BY_EXCEL = re.compile(r'^"?sep=(.)"?\r?\n?', re.IGNORECASE)
_MISSING = frozenset({"nan", "null", "none", "<na>", "na", "n/a", "#n/a"})
"""Texts that programs write into csv files where a value is missing, without regard to capitals."""


@dataclass(frozen=True)
class _Dialect:
    separator: str
    quoted: bool = True
    spaced: bool = False
    """Whether a space follows every separator, and belongs to it."""


@dataclass
class _Fields:
    """Rows of fields with the line on which each begins. blank: lines without a field.

    fault: what stopped the reading; the rows before it are here, and `lines` has its line too.
    """

    rows: list[list[str]]
    lines: list[int]
    blank: list[int]
    fault: str = ""


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
    dialect = _dialect(path, text, asked, named)
    fields = _read(text, dialect)
    broken = [line for row, line in zip(fields.rows, fields.lines, strict=False) if _has_line_break(row)]
    if fields.fault or broken:
        # A quote that opens and never closes swallows lines, perhaps up to the next one. Without quoting they are rows like others.
        plain_dialect = _Dialect(dialect.separator, quoted=False, spaced=dialect.spaced)
        plain = _read(text, plain_dialect)
        whole = not fields.fault and _ragged(fields) is None
        if _stands_without_quoting(plain) and not (whole and not _rows_alike(plain, set(fields.lines))):
            fields, dialect = plain, plain_dialect
    fields.lines = [line + skipped for line in fields.lines]
    if fields.fault:
        raise DataError(
            f"{path}, line {fields.lines[-1]}: not valid CSV ({fields.fault}). A text that holds the separator ({_said(dialect)}), a "
            "quotation mark or a line break must stand in quotation marks, and its own marks must be doubled."
        )
    if not fields.rows:
        return DataTable(str(path), {}, [], "line")
    if (odd := _ragged(fields)) is not None:
        _refuse_ragged(path, fields, odd, dialect)
    _cut_trailing(fields)
    names, header = column_names(path, fields.rows, fields.lines, file_format.header, named)
    if header:
        del fields.rows[0], fields.lines[0]
    require_distinct(names, str(path))
    columns = {name: Column(lambda i=i: [row[i] for row in fields.rows]) for i, name in enumerate(names)}
    one = len(names) == 1
    how = "" if one else f"separator: {_said(dialect)}"
    notes = [] if header else ["No line names the columns, as was asked for: the first line is data."]
    if one and fields.blank:
        notes.append(
            f"{counted(len(fields.blank), 'line')} without text left out; the first is line {fields.blank[0] + skipped}."
        )
    if broken and dialect.quoted:
        notes.append(
            f"{counted(len(broken), 'row')} with line breaks inside quotation marks; the first is line {broken[0] + skipped}."
        )
    if not dialect.quoted:
        notes.append("Quotation marks are read as characters of the text, since some are never closed.")
    return DataTable(str(path), columns, fields.lines, "line", how, tuple(notes), missing=_MISSING)


def _asked_separator(separator: str | None) -> str | None:
    if separator is None:
        return None
    separator = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(separator.casefold(), separator)
    if len(separator) != 1 or separator in '\r\n"':
        raise ConfigError(f"the separator should be one character or `tab`, got {separator!r}")
    return separator


def _dialect(path: Path, text: str, asked: str | None, named: Collection[str]) -> _Dialect:
    """Finds how the file is written: the one separator that cuts every row of the head into as many fields."""
    usual = "\t" if ".tsv" in path.name.casefold() else ","
    dialects = {s: _Dialect(s, spaced=_spaced(text, s)) for s in ([asked] if asked else _SEPARATORS)}
    if asked:
        return dialects[asked]
    heads = {s: _read(text, dialect, rows=_HEAD_ROWS) for s, dialect in dialects.items()}
    whole = {s: head for s, head in heads.items() if head.rows and len(head.rows[0]) > 1 and _is_whole(text, s, head)}
    for wanted in (lambda cells: set(named) & set(cells), known_names):
        if len(whole) > 1:
            whole = {s: head for s, head in whole.items() if wanted([c.strip() for c in head.rows[0]])} or whole
    if len(whole) > 1:
        found = " and ".join(_SEPARATORS[s] for s in whole)
        raise DataError(
            f"{path}: {found} cut every row into as many fields, so that the separator cannot be told. Its first line is "
            f"{example(lines_of(text[:_HEAD_CHARACTERS])[0])}. Name the separator: --separator on the command line, `separator:` in the task's entry of a study."
        )
    if whole:
        return dialects[next(iter(whole))]
    # None fits: what the first line has most of is the best to name in the message.
    widths = {s: len(head.rows[0]) if head.rows else 0 for s, head in heads.items()}
    best = max(widths, key=lambda s: (widths[s], s == usual))
    return dialects[best]


def _is_whole(text: str, separator: str, head: _Fields) -> bool:
    if not head.fault and _ragged(head) is None:
        return True
    return _stands_without_quoting(_read(text, _Dialect(separator, quoted=False), rows=_HEAD_ROWS))


def _stands_without_quoting(plain: _Fields) -> bool:
    """Tells whether fields that were read without quoting make a table, and none stands in quotation marks."""
    quoted = any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in plain.rows for cell in row)
    return len(plain.rows[0]) > 1 and _ragged(plain) is None and not quoted


def _rows_alike(plain: _Fields, begun: set[int]) -> bool:
    """Tells whether lines inside quotation marks hold in some column what the lines that begin a row hold there.

    begun: the lines on which rows begin. Such a column holds numbers only, or few values, such as a class.
    """
    inside = [row for row, line in zip(plain.rows, plain.lines, strict=True) if line not in begun]
    others = [row for row, line in zip(plain.rows, plain.lines, strict=True) if line in begun][1:]
    for index in range(len(plain.rows[0])):
        values, found = {row[index] for row in inside}, [row[index] for row in others]
        numbers = found and all(cell.strip().isdigit() for cell in (*values, *found))
        if numbers or (2 * len(set(found)) <= len(found) and values <= set(found)):
            return True
    return False


def _has_line_break(row: list[str]) -> bool:
    return any("\n" in cell or "\r" in cell for cell in row)


def _spaced(text: str, separator: str) -> bool:
    """Tells whether a space follows the separator wherever it stands in the first line, and first in the second."""
    first, *rest = lines_of(text[:_HEAD_CHARACTERS])[:2] or [""]
    gaps = first.split(separator)[1:]
    second = rest[0].partition(separator)[2] if rest else ""
    return separator not in "\t " and bool(gaps) and all(gap.startswith(" ") for gap in [*gaps, second])


def _read(text: str, dialect: _Dialect, rows: int | None = None) -> _Fields:
    found = _Fields([], [], [])
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.separator,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        skipinitialspace=dialect.spaced,
        strict=True,
    )
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # one for the whole process: put back below
    before = 0
    try:
        for row in islice(reader, rows):
            if row:
                found.rows.append(row)
                found.lines.append(before + 1)
            else:
                found.blank.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        found.fault = str(error)
        found.lines.append(before + 1)
    finally:
        csv.field_size_limit(limit)
    return found


def _ragged(fields: _Fields) -> int | None:
    """The first row that has not as many fields as the first; an empty one more at the end of every other row is none."""
    width = len(fields.rows[0])
    odd = next((i for i, row in enumerate(fields.rows) if len(row) != width), None)
    if odd is not None and all(len(row) == width + 1 and row[-1] == "" for row in islice(fields.rows, 1, None)):
        return None
    return odd


def _cut_trailing(fields: _Fields) -> None:
    """Takes away the empty field that a separator at the end of every line makes."""
    width = len(fields.rows[0])
    if width > 1 and all(row[-1] == "" for row in fields.rows if len(row) == width):
        width -= 1
    for row in fields.rows:
        del row[width:]


def _refuse_ragged(path: Path, fields: _Fields, odd: int, dialect: _Dialect) -> None:
    row, width = fields.rows[odd], len(fields.rows[0])
    shown = example(dialect.separator.join(row))
    if width == 1:
        raise DataError(
            f"{path}, line {fields.lines[odd]}: {counted(len(row), 'field')} where the first line has one (separator: {_said(dialect)}): {shown}. "
            "If each line of the file is one text, give it the ending .txt; else put texts that hold the separator in quotation marks, or "
            "name the separator: --separator on the command line, `separator:` in the task's entry of a study."
        )
    raise DataError(
        f"{path}, line {fields.lines[odd]}: expected {width} fields as in the header, got {len(row)} (separator: {_said(dialect)}): {shown}. "
        "Put texts that hold the separator in quotation marks, or name another separator: --separator on the command line, `separator:` "
        "in the task's entry of a study."
    )


def _said(dialect: _Dialect) -> str:
    said = _SEPARATORS.get(dialect.separator, repr(dialect.separator))
    return f"{said} with a space" if dialect.spaced else said
