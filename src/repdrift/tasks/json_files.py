"""Reads JSON data: an object on each line, an array of objects, or one object that holds an array or whole columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.chat_turns import is_chat
from repdrift.tasks.data_table import Column, DataTable
from repdrift.tasks.text_files import lines_of

TEXT_COLUMN = "text"
"""The name of the one column of a file that holds texts and no columns."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} is there twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
"""Refuses a key that is there twice, of which the standard one takes the last."""


def read_json(path: Path, text: str) -> DataTable:
    """Read rows of JSON from the content of a file. A key that a row lacks is a missing value there.

    Raises DataError with the line if it is not JSON, or holds something other than rows.
    """
    if text.lstrip()[:1] == "[" and (whole := _parsed(text)) is not None:
        return _table(path, whole, range(1, len(whole) + 1), "row", "a JSON array")
    numbers: list[int] = []
    rows: list[Any] = []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_DECODER.decode(line))
        except (ValueError, RecursionError) as error:
            whole = _parsed(text) if len(rows) < 2 else None  # one object over many lines
            if isinstance(whole, dict):
                return _of_object(path, whole)
            if text.lstrip()[:1] == "[":
                raise DataError(f"{path}: not a valid JSON array ({_fault(text)})") from error
            said = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(f"{path}, line {number}: not valid JSON ({said})") from error
        numbers.append(number)
    # In a file that is called so, the one line is the whole; in .jsonl it is one row, which may hold lists.
    is_whole = len(rows) == 1 and ".json" in (path.suffix.lower(), Path(path.stem).suffix.lower())
    if is_whole and isinstance(rows[0], dict) and (_holds_rows(rows[0]) or _holds_columns(rows[0])):
        return _of_object(path, rows[0])
    return _table(path, rows, numbers, "line", "")


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _fault(text: str) -> str:
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        comma = text[: error.pos].rstrip().endswith(",") and text[error.pos : error.pos + 1] in ("]", "}")
        return f"{error.msg} in line {error.lineno}, column {error.colno}" + (
            ": a comma stands before it" if comma else ""
        )
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _holds_rows(content: dict[str, Any]) -> list[str]:
    return [
        key
        for key, value in content.items()
        if isinstance(value, list) and value and all(isinstance(i, dict) for i in value) and not is_chat(value)
    ]


def _holds_columns(content: dict[str, Any]) -> bool:
    """Tells whether every value is a list, or every value an object, as programs write whole columns."""
    kinds = {type(value) for value in content.values()}
    return kinds == {dict} or (kinds == {list} and len({len(value) for value in content.values()}) == 1)


def _of_object(path: Path, content: dict[str, Any]) -> DataTable:
    keys = _holds_rows(content)
    if len(keys) == 1:
        rows = content[keys[0]]
        return _table(path, rows, range(1, len(rows) + 1), "row", f"the JSON array under {keys[0]!r}")
    first = next(iter(content.values()), None)
    if isinstance(first, list) and _holds_columns(content):
        count = len(first)
        columns = {key: Column(lambda values=values: values) for key, values in content.items()}
        return DataTable(str(path), columns, range(1, count + 1), "row", "one JSON array for each column")
    raise DataError(
        f"{path}: one JSON object with {', '.join(map(repr, list(content)[:6])) or 'nothing in it'}; expected an object on each line, or an "
        "array of objects. Write it so, for example with pandas: frame.to_json(path, orient='records', lines=True)."
    )


def _table(path: Path, rows: Sequence[Any], numbers: Sequence[int], unit: str, how: str) -> DataTable:
    if rows and all(isinstance(row, str) for row in rows):
        return DataTable(
            str(path), {TEXT_COLUMN: Column(lambda: list(rows))}, numbers, unit, how or "a JSON text on each line"
        )
    for number, row in zip(numbers, rows, strict=True):
        if not isinstance(row, dict):
            raise DataError(f"{path}, {unit} {number}: expected a JSON object, got {type(row).__name__}")
    names = dict.fromkeys(key for row in rows for key in row)
    columns = {name: Column(lambda name=name: [row.get(name) for row in rows]) for name in names}
    return DataTable(str(path), columns, numbers, unit, how)
