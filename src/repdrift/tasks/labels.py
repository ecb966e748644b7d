"""Checks labels of a data file: classes, as they are written there, and answers with their places in the context."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.data_table import DataTable
from repdrift.tasks.spec import TaskSpec

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,18}))(?:\.0+)?")
"""A whole number as a text: no leading zeros, by which codes such as 007 differ from 7."""

_NUMBER = re.compile(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?")

ClassValue = int | str | bool
"""A class as the data write it."""


def checked_classes(
    table: DataTable, spec: TaskSpec, kept: Sequence[int], columns: Mapping[str, Sequence[Any]]
) -> list[ClassValue]:
    """Returns the class of each row that is kept: its number if the task names its classes, else as the file writes it.

    Whole numbers are read as such, however they are written (1, 1.0, "1"), if every label of the file is one. Raises DataError
    with the line for a missing label, one that is no class, and for kinds of labels that do not go together.
    """
    del columns
    name = spec.label_column or ""
    values = [table.columns[name].values[i] for i in kept]
    if spec.label_names:
        return [_named(value, spec, table.at(i)) for i, value in zip(kept, values, strict=True)]
    for i, value in zip(kept, values, strict=True):
        _require_class(value, table, name, i)
    kinds = {_kind(value) for value in values}
    if kinds == {"text"} and not all(map(_is_whole, values)) and not _are_scores(values):
        return [value.strip() for value in values]
    if kinds == {"truth"}:
        return values
    # A text beside numbers is one of them only if all texts are; true and false never are.
    odd = next((i for i, v in zip(kept, values, strict=True) if not _is_whole(v)), None)
    if odd is not None:
        raise DataError(
            f"{table.at(odd)}: column {name!r} should hold classes of one kind (whole numbers, texts, or true and false), got "
            f"{table.columns[name].values[odd]!r}, and {values[0]!r} in {table.unit} {table.numbers[kept[0]]}. Scores are no classes: give each range "
            "of them a name first."
        )
    found: list[ClassValue] = [_whole(value) or 0 for value in values]
    names = table.class_names.get(name)
    odd = next((i for i, v in zip(kept, found, strict=True) if names and not 0 <= v < len(names)), None)  # pyright: ignore[reportOperatorIssue]
    if odd is not None and names:
        raise DataError(
            f"{table.at(odd)}: column {name!r} should be 0 to {len(names) - 1} (the file names the classes {', '.join(names[:8])}), got "
            f'{table.columns[name].values[odd]!r}; -1 stands for "no label". Take those rows out.'
        )
    _require_labels_meant(found, table, name)
    return found


def _kind(value: Any) -> str:
    return "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _are_scores(values: Sequence[str]) -> bool:
    """Tells whether texts are all numbers, and not all of them whole. Codes such as 007 are no scores."""
    distinct = [value.strip() for value in set(values)]
    return all(map(_NUMBER.fullmatch, distinct)) and any(not value.lstrip("+-").isdigit() for value in distinct)


def _is_whole(value: Any) -> bool:
    return _whole(value) is not None


def _named(value: Any, spec: TaskSpec, where: str) -> int:
    names = spec.label_names or ()
    if isinstance(value, str) and value in names:
        return names.index(value)
    number = None if isinstance(value, bool) else _whole(value)
    if number is None or not 0 <= number < len(names):
        unlabelled = (
            ' (-1 stands for "no label", as in the test files of GLUE: take a file with labels)' if number == -1 else ""
        )
        named = f" or {', '.join(names)}" if isinstance(value, str) else ""
        raise DataError(
            f"{where}: column {spec.label_column!r} should be 0 to {len(names) - 1}{named}, got {value!r}{unlabelled}"
        )
    return number


def _require_class(value: Any, table: DataTable, name: str, row: int) -> None:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if missing or (isinstance(value, str) and (not value.strip() or value.strip().casefold() in table.missing)):
        raise DataError(
            f"{table.at(row)}: column {name!r} should hold a class, got none ({value!r}). Take rows without a label out of the file, "
            f"or measure without labels.{' If it is a class, write it as another word, such as no_class.' if value else ''}"
        )
    if not isinstance(value, str | int | float | bool | Decimal):
        raise DataError(
            f"{table.at(row)}: column {name!r} should hold one class, got {value!r} ({type(value).__name__})"
        )


def _whole(value: Any) -> int | None:
    """The whole number that a label is; None if it is none. True and false are no numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _WHOLE.fullmatch(value.strip())
        return int(found[1]) if found else None
    if value is None:
        return None
    return int(value) if value == value // 1 else None


def _require_labels_meant(values: Sequence[ClassValue], table: DataTable, name: str) -> None:
    """Refuses -1 where it stands for "no label": alone, or beside three or more classes from 0."""
    classes = set(values)
    if classes == {-1} or (-1 in classes and {0, 1, 2} <= classes):
        rows = "in every row" if classes == {-1} else f"in {sum(v == -1 for v in values)} rows, beside classes from 0"
        raise DataError(
            f'{table.where}: column {name!r} holds -1 {rows}, which stands for "no label" in many data sets (the test files of GLUE, '
            "SNLI). Take those rows out; if -1 is a class, write the classes as words."
        )


def checked_answers(
    table: DataTable, spec: TaskSpec, kept: Sequence[int], columns: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """Returns the answers of each row that is kept: {text: [...], answer_start: [...]}; whether they stand there, `answer_places` says.

    Raises DataError with the line for answers that are written otherwise.
    """
    del columns
    values = table.columns[spec.label_column or ""].values
    return [_answers(values[i], spec, table.at(i)) for i in kept]


def _answers(value: Any, spec: TaskSpec, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)  # in a CSV file the answers are JSON
        except ValueError:
            value = None
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("text"), list)
        or not isinstance(value.get("answer_start"), list)
    ):
        raise DataError(f"{where}: column {spec.label_column!r} should hold {{text: [...], answer_start: [...]}}")
    texts, starts = list(value["text"]), list(value["answer_start"])
    if len(texts) != len(starts):
        raise DataError(f"{where}: {len(texts)} answer texts but {len(starts)} starts")
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
            raise DataError(
                f"{where}: an answer should be a text with the number of its first character, got {text!r} at {start!r}"
            )
    # An answer without a text is how some files write that there is none.
    said = [(text, start) for text, start in zip(texts, starts, strict=True) if text.strip()]
    return {"text": [text for text, _ in said], "answer_start": [start for _, start in said]}
