"""Finds how a csv file is written: the separator and the quoting that make a table of it; and cuts it into fields."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.tasks.column_names import known_names
from repdrift.tasks.data_table import example
from repdrift.tasks.text_files import lines_of

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "'|'"}
_HEAD_ROWS = 200
_HEAD_CHARACTERS = 10_000


@dataclass(frozen=True)
class Dialect:
    """Says how a csv file is written; as a string, what separates its fields.

    quoted: quotation marks enclose fields. spaced: a space follows every separator, and belongs to it.
    """

    separator: str
    quoted: bool = True
    spaced: bool = False

    def __str__(self) -> str:
        said = SEPARATORS.get(self.separator, repr(self.separator))
        return f"{said} with a space" if self.spaced else said


@dataclass
class Fields:
    """Rows of fields with the line on which each begins. blank: lines without a field.

    fault: what stopped the reading; the rows before it are here, and `lines` has its line too.
    """

    rows: list[list[str]]
    lines: list[int]
    blank: list[int]
    fault: str = ""


def find_dialect(path: Path, text: str, asked: str | None, named: Collection[str]) -> Dialect:
    """Finds how a file is written: by the one separator that cuts every row of its head into as many fields.

    asked: the separator that the user gave. named: columns that must be there. Where no separator fits, it is the one that the first
    line has most of. Raises DataError if several fit.
    """
    usual = "\t" if ".tsv" in path.name.casefold() else ","
    dialects = {s: Dialect(s, spaced=_spaced(text, s)) for s in ([asked] if asked else SEPARATORS)}
    if asked:
        return dialects[asked]
    heads = {s: read_fields(text, dialect, rows=_HEAD_ROWS) for s, dialect in dialects.items()}
    whole = {s: head for s, head in heads.items() if head.rows and len(head.rows[0]) > 1 and _is_whole(text, s, head)}
    for wanted in (lambda cells: set(named) & set(cells), known_names):
        if len(whole) > 1:
            whole = {s: head for s, head in whole.items() if wanted([c.strip() for c in head.rows[0]])} or whole
    if len(whole) > 1:
        found = " and ".join(SEPARATORS[s] for s in whole)
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


def _is_whole(text: str, separator: str, head: Fields) -> bool:
    if not head.fault and first_ragged(head) is None:
        return True
    return stands_without_quoting(read_fields(text, Dialect(separator, quoted=False), rows=_HEAD_ROWS))


def stands_without_quoting(plain: Fields) -> bool:
    """Tells whether fields that were read without quoting make a table, and none stands in quotation marks."""
    quoted = any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in plain.rows for cell in row)
    return not plain.fault and len(plain.rows[0]) > 1 and first_ragged(plain) is None and not quoted


def rows_alike(plain: Fields, begun: set[int]) -> bool:
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


def has_line_break(row: list[str]) -> bool:
    """Tells whether a field of the row goes over several lines."""
    return any("\n" in cell or "\r" in cell for cell in row)


def _spaced(text: str, separator: str) -> bool:
    """Tells whether a space follows the separator wherever it stands in the first line, and first in the second."""
    first, *rest = lines_of(text[:_HEAD_CHARACTERS])[:2] or [""]
    gaps = first.split(separator)[1:]
    second = rest[0].partition(separator)[2] if rest else ""
    return separator not in "\t " and bool(gaps) and all(gap.startswith(" ") for gap in [*gaps, second])


def read_fields(text: str, dialect: Dialect, rows: int | None = None) -> Fields:
    """Cut a text into rows of fields. rows: how many at most; None: all."""
    found = Fields([], [], [])
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


def first_ragged(fields: Fields) -> int | None:
    """The first row that has not as many fields as the first; an empty one more at the end of every other row is none."""
    width = len(fields.rows[0])
    odd = next((i for i, row in enumerate(fields.rows) if len(row) != width), None)
    if odd is not None and all(len(row) == width + 1 and row[-1] == "" for row in islice(fields.rows, 1, None)):
        return None
    return odd
