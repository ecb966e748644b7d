"""Reads one data file (parquet, jsonl, csv, or plain text) into rows; every error names the file and the line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.spec import TaskSpec

Row = dict[str, Any]
"""One row of a data file: column name to value."""
SUFFIXES = (".parquet", ".jsonl", ".csv")
TEXT_SUFFIX = ".txt"
TEXT_COLUMN = "text"
"""The name of the one column of a plain text file, which holds one text on each line."""


def read_rows(path: Path, spec: TaskSpec, *, labelled: bool = True) -> list[Row]:
    """Read and check every row of `path`, in the file's order; keep only the columns that `spec` names.

    labelled: whether the label column must be there. Raises DataError naming the file and, if possible, the line, if the
    file is absent, empty or malformed, lacks a column, or holds a text or label of the wrong type.
    """
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    raw = _read(path)
    wanted = [c for c in spec.columns if labelled or c != spec.label_column]
    return [_checked(row, spec, wanted, path, line, labelled) for line, row in raw]


def columns_of(path: Path) -> dict[str, type]:
    """The columns of a data file's first row, with the type of each value.

    Raises DataError naming the file if it is absent, empty or malformed.
    """
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    return {name: type(value) for name, value in _read(path)[0][1].items()}


def _read(path: Path) -> list[tuple[int, Row]]:
    readers = {".parquet": _read_parquet, ".jsonl": _read_jsonl, ".csv": _read_csv, TEXT_SUFFIX: _read_text}
    if path.suffix not in readers:
        raise DataError(f"data file {path} has the ending {path.suffix!r}; expected one of {', '.join(readers)}")
    raw = readers[path.suffix](path)
    if not raw:
        raise DataError(f"data file {path} is empty: expected at least one row")
    return raw


def _read_text(path: Path) -> list[tuple[int, Row]]:
    lines = enumerate(_text_of(path).splitlines(), start=1)
    return [(line, {TEXT_COLUMN: text}) for line, text in lines if text.strip()]


def _read_parquet(path: Path) -> list[tuple[int, Row]]:
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"data file {path} is not a readable parquet file: {error}") from error
    return list(enumerate(rows, start=1))


def _read_jsonl(path: Path) -> list[tuple[int, Row]]:
    rows: list[tuple[int, Row]] = []
    for line, text in enumerate(_text_of(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {line}: not valid JSON ({error.msg} at column {error.colno})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {line}: expected a JSON object, got {type(row).__name__}")
        rows.append((line, row))
    return rows


def _read_csv(path: Path) -> list[tuple[int, Row]]:
    reader = csv.DictReader(io.StringIO(_text_of(path), newline=""), strict=True)
    rows: list[tuple[int, Row]] = []
    try:
        for row in reader:
            if None in row or None in row.values():
                expected = len(reader.fieldnames or ())
                raise DataError(f"{path}, line {reader.line_num}: expected {expected} fields as in the header")
            rows.append((reader.line_num, {str(key): value for key, value in row.items()}))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from error
    return rows


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"data file {path} is not UTF-8 text (byte {error.start})") from error


def _checked(row: Row, spec: TaskSpec, wanted: list[str], path: Path, line: int, labelled: bool) -> Row:
    where = f"{path}, {'row' if path.suffix == '.parquet' else 'line'} {line}"
    absent = [column for column in wanted if column not in row]
    if absent:
        raise DataError(
            f"{where}: column {absent[0]!r} is not there; task {spec.name!r} needs {', '.join(wanted)}, "
            f"the file has {', '.join(map(str, row)) or 'none'}. Name the columns of a file of your own in its entry of the study, or with "
            "the options of `repdrift train --text-column NAME --label-column NAME --id-column NAME`."
        )
    for column in spec.text_columns:
        if not isinstance(row[column], str) or not row[column].strip():
            raise DataError(f"{where}: column {column!r} should be a text, got {row[column]!r}")
    checked = {column: row[column] for column in wanted}
    if labelled and spec.label_column is not None:
        check = _class_label if spec.kind == "classification" else _answers
        checked[spec.label_column] = check(row[spec.label_column], spec, row, where)
    return checked


def _class_label(value: Any, spec: TaskSpec, _row: Row, where: str) -> int:
    if isinstance(value, str) and value.lstrip("-").isdigit():
        value = int(value)  # every value of a CSV file is a text
    elif isinstance(value, str) and spec.label_names and value in spec.label_names:
        value = spec.label_names.index(value)
    limit = len(spec.label_names) if spec.label_names else None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or (limit is not None and value >= limit):
        expected = f"0 to {limit - 1}" if limit else "a whole number from 0"
        raise DataError(f"{where}: column {spec.label_column!r} should be {expected}, got {value!r}")
    return value


def _answers(value: Any, spec: TaskSpec, row: Row, where: str) -> Row:
    if isinstance(value, str):
        try:
            value = json.loads(value)  # in a CSV file the answers are JSON
        except json.JSONDecodeError:
            value = None
    if not isinstance(value, dict) or not {"text", "answer_start"} <= value.keys():
        raise DataError(f"{where}: column {spec.label_column!r} should hold {{text: [...], answer_start: [...]}}")
    texts, starts = list(value["text"]), list(value["answer_start"])
    if len(texts) != len(starts):
        raise DataError(f"{where}: {len(texts)} answer texts but {len(starts)} starts")
    context = row[spec.text_columns[1]]
    for text, start in zip(texts, starts, strict=True):
        if context[start : start + len(text)] != text:
            raise DataError(f"{where}: the answer {text!r} is not at character {start} of the context")
    return {"text": texts, "answer_start": starts}
