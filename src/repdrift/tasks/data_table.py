"""Columns of a data file as they were read, before a task's checks; every format is read into this one record."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.chat_turns import is_chat

TEXT, NUMBERS, BOOLEANS, CHAT, LISTS, OBJECTS, BINARY, NOTHING = (
    "text", "numbers", "true/false", "chat turns", "lists", "objects", "binary", "nothing",
)  # fmt: skip
_KINDS = {str: TEXT, int: NUMBERS, float: NUMBERS, bool: BOOLEANS, dict: OBJECTS, bytes: BINARY}
_NOTED = {TEXT: "", CHAT: " (chat turns)"}
_EXAMPLE_CHARACTERS = 60
_NUMBER = re.compile(r"\s*[-+]?\d*[.,]?\d+([eE][-+]?\d+)?\s*")


class Column:
    """One column: its values in the order of the rows, and the kind of all of them together.

    fetch: gives the values; it is called only for a column that is looked at. kind: if the file's format says it.
    """

    def __init__(self, fetch: Callable[[], list[Any]], kind: str | None = None) -> None:
        self._fetch = fetch
        self._kind = kind

    @cached_property
    def values(self) -> list[Any]:
        """One value for each row; None where there is none."""
        return self._fetch()

    @cached_property
    def kind(self) -> str:
        """Says what the column holds, over all its rows: `text`, `numbers`, ..., or several of them, `numbers and text`."""
        return self._kind or kind_of(self.values)


@dataclass(frozen=True)
class DataTable:
    """The columns of one data file or folder.

    where: names the file in messages. unit: `line` or `row`, which `numbers` count, from 1; there is one for each row.
    how: in a few words how it was read. whole_lines: each line is one text. missing: texts that stand for a missing value.
    class_names: for columns of classes, the names that the file gives to the numbers from 0.
    """

    where: str
    columns: Mapping[str, Column]
    numbers: Sequence[int]
    unit: str
    how: str = ""
    notes: tuple[str, ...] = ()
    whole_lines: bool = False
    missing: frozenset[str] = frozenset()
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, row: int) -> str:
        """Names a row for a message: `data.csv, line 12`."""
        return f"{self.where}, {self.unit} {self.numbers[row]}"

    def described(self) -> str:
        """The columns' names; one that holds no text is followed by what it holds."""
        return ", ".join(f"{name}{_NOTED.get(c.kind, f' (no text: {c.kind})')}" for name, c in self.columns.items())


def require_rows(table: DataTable) -> DataTable:
    """Returns `table`. Raises DataError if it has no row."""
    if not len(table):
        raise DataError(f"data file {table.where} is empty: expected at least one row")
    return table


def require_distinct(names: Sequence[str], where: str) -> None:
    """Raises DataError if two columns have the same name."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DataError(
                f"{where}: column {name!r} is there twice (columns {names.index(name) + 1} and {number + 1}); "
                "give each column a name of its own"
            )


def kind_of(values: Sequence[Any]) -> str:
    """Says what values are, over all of them: see Column. Texts that are all numbers count as numbers."""
    kinds: set[str] = set()
    for found in set(map(type, values)) - {type(None), list, float}:
        kinds.add(_KINDS.get(found, found.__name__))
    floats = [v for v in values if type(v) is float]
    if any(not math.isnan(v) for v in floats):
        kinds.add(NUMBERS)
    lists = [v for v in values if type(v) is list]
    if lists:
        filled = [v for v in lists if v]
        kinds.add(CHAT if filled and all(map(is_chat, filled)) else LISTS)
    if kinds == {TEXT} and _numbers_only(values):
        return NUMBERS
    return " and ".join(sorted(kinds)) or NOTHING


def _numbers_only(values: Sequence[Any]) -> bool:
    """Tells whether texts are all numbers, as in a csv file, where every value is a text."""
    texts = (value for value in values if isinstance(value, str) and value.strip())
    first = next(texts, None)
    return first is not None and _NUMBER.fullmatch(first) is not None and all(map(_NUMBER.fullmatch, texts))


def example(text: str) -> str:
    """Cuts a text for a message to about 60 characters, on one line and in quotes."""
    shown = " ".join(text[: 4 * _EXAMPLE_CHARACTERS].split())
    cut = len(shown) > _EXAMPLE_CHARACTERS or len(text) > 4 * _EXAMPLE_CHARACTERS
    return repr(shown[:_EXAMPLE_CHARACTERS].rstrip() + "..." if cut else shown)
