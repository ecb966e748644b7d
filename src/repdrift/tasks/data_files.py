"""Reads one data file or folder into a table; its ending says the format, and every error names the file and the line."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.words import counted
from repdrift.tasks.arrow_tables import ARROW, PARQUET, read_arrow
from repdrift.tasks.data_folders import folder_files
from repdrift.tasks.data_table import Column, DataTable, require_rows
from repdrift.tasks.delimited import read_delimited
from repdrift.tasks.json_files import TEXT_COLUMN, read_json
from repdrift.tasks.spec import FileFormat, Split
from repdrift.tasks.text_files import PACKED, decoded, lines_of

Row = dict[str, Any]
"""One row of a data file: column name to value."""
SUFFIXES = (".parquet", ".jsonl", ".csv")
"""Endings that are looked for in a data folder."""
_DELIMITED = (".csv", ".tsv")
_JSON = (".jsonl", ".json", ".ndjson")
_PLAIN = (".txt",)
ENDINGS = (*_PLAIN, *_DELIMITED, *_JSON, *PARQUET, *ARROW)
"""Endings that can be read; those of text files may have one of PACKED behind them."""


def read_table(
    path: Path,
    *,
    split: Split = "validation",
    file_format: FileFormat = FileFormat(),  # noqa: B008 (frozen)
    named: Collection[str] = (),
    every_column: bool = False,
) -> DataTable:
    """Read the table in a file, or in a folder of one data set.

    split: which one of a folder that has several. named: columns that are known to be there and will be used; empty: not known
    yet. every_column: others may be used too.
    Raises DataError naming the file and, if possible, the line, if it is absent, empty, malformed or of an unknown format.
    """
    wanted = named if named and not every_column else None
    of_folder = ""
    with reading_errors(path):
        is_folder, is_file, is_there = path.is_dir(), path.is_file(), path.exists()
    if is_folder:
        with reading_errors(path):
            found = folder_files(path, split)
        if found.files[0].suffix.lower() in (*PARQUET, *ARROW):
            return require_rows(read_arrow(found.files, str(path), wanted=wanted, how=found.how))
        path, of_folder = found.files[0], found.how
    elif not is_file:
        raise DataError(f"data file {path} {'is neither a file nor a folder' if is_there else why_absent(path)}")
    ending = path.suffix.lower()
    if ending in (*PARQUET, *ARROW):
        _require_unasked(path, file_format)
        return require_rows(read_arrow([path], str(path), wanted=wanted))
    if ending in PACKED:
        ending = Path(path.stem).suffix.lower()
    if ending not in (*_DELIMITED, *_JSON, *_PLAIN):
        raise DataError(_unknown_ending(path))
    if ending not in _DELIMITED:
        _require_unasked(path, FileFormat(file_format.separator, None, file_format.header))
    text = decoded(path, file_format.encoding)
    if ending in _DELIMITED:
        table = read_delimited(path, text, file_format, named=named)
    else:
        table = read_json(path, text) if ending in _JSON else _read_plain(path, text)
    return require_rows(replace(table, how=", ".join(filter(None, (of_folder, table.how)))) if of_folder else table)


def _read_plain(path: Path, text: str) -> DataTable:
    lines = lines_of(text)
    numbers = [number for number, line in enumerate(lines, start=1) if line and not line.isspace()]
    if numbers and _is_object(lines[numbers[0] - 1]):
        raise DataError(
            f"{path}, line {numbers[0]}: the lines are JSON objects, not texts; give the file the ending .jsonl to read its columns"
        )
    texts = lines if len(numbers) == len(lines) else [lines[number - 1] for number in numbers]
    blank = len(lines) - len(numbers)
    first = next((n for n, line in enumerate(lines, start=1) if not line or line.isspace()), 0) if blank else 0
    notes = [f"{counted(blank, 'line')} without text left out; the first is line {first}."] if blank else []
    tabs = {line.count("\t") for line in texts}
    if len(tabs) == 1 and (count := tabs.pop()) and len(texts) > 1:
        notes.append(
            f"Every line holds {counted(count, 'tab')}: if they separate columns, give the file the ending .tsv."
        )
    return DataTable(
        str(path), {TEXT_COLUMN: Column(lambda: texts)}, numbers, "line", notes=tuple(notes), whole_lines=True
    )


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _require_unasked(path: Path, file_format: FileFormat) -> None:
    if file_format != FileFormat():
        raise ConfigError(
            f"{path}: separator and header are of csv and tsv files, and an encoding is of text files; this is neither asked nor used here"
        )


def _unknown_ending(path: Path) -> str:
    ending = "".join(path.suffixes[-2:]) if path.suffix.lower() in PACKED else path.suffix
    hint = {
        ".xlsx": " Save the sheet as csv.",
        ".xls": " Save the sheet as csv.",
        ".zip": " Unpack it first.",
        ".zst": " Unpack it first.",
        ".pkl": " Pickles are never loaded, since loading runs what is in them.",
        ".pickle": " Pickles are never loaded, since loading runs what is in them.",
        ".pt": " Pickles are never loaded, since loading runs what is in them.",
    }.get(path.suffix.lower(), "")
    return (
        f"data file {path} has the ending {ending!r}; expected one of {', '.join(ENDINGS)} (text files also packed: {', '.join(PACKED)}), "
        f"or the folder of a saved data set.{hint}"
    )
