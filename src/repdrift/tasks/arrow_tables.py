"""Reads parquet, Arrow and Feather files, one or several as shards of one table; the file says what each column holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors
from repdrift.tasks.data_table import (
    BINARY,
    BOOLEANS,
    CHAT,
    LISTS,
    NOTHING,
    NUMBERS,
    OBJECTS,
    TEXT,
    Column,
    DataTable,
    require_distinct,
)
from repdrift.tasks.text_files import POINTER_OF_LFS, POINTER_SAID

if TYPE_CHECKING:
    import pyarrow

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather")
_INDEX_OF_PANDAS = "__index_level_"


def read_arrow(paths: Sequence[Path], where: str, *, wanted: Collection[str] | None, how: str = "") -> DataTable:
    """Read files of one table. wanted: columns to read; None: all, and values only of those that are looked at.

    Raises DataError if a file cannot be read, or the files have columns that do not fit together.
    """
    import pyarrow

    tables = [_read(path, wanted) for path in paths]
    try:
        table = pyarrow.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
    except pyarrow.ArrowException as error:
        raise DataError(f"{where}: its files have columns that do not fit together: {error}") from error
    names = [name for name in table.column_names if not name.startswith(_INDEX_OF_PANDAS)]
    require_distinct(names, where)
    columns = {name: _column(table.column(name), f"{where}, column {name!r}") for name in names}
    numbers = range(1, table.num_rows + 1)
    return DataTable(where, columns, numbers, "row", how, class_names=_class_names(table.schema.metadata or {}))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """The names of classes that the datasets library writes beside the columns' types."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: list(map(str, of["names"])) for name, of in features.items() if of.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read(path: Path, wanted: Collection[str] | None) -> pyarrow.Table:
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    try:
        if path.suffix.lower() in PARQUET:
            with pyarrow.parquet.ParquetFile(path) as file:
                names = file.schema_arrow.names
                # Without all that are wanted, every column is read: the message lists them.
                some = list(wanted) if wanted and set(wanted) <= set(names) and len(set(names)) == len(names) else None
                return file.read(columns=some)
        with pyarrow.memory_map(str(path)) as source:
            try:
                return pyarrow.ipc.open_stream(source).read_all()
            except pyarrow.ArrowInvalid:
                return pyarrow.ipc.open_file(source).read_all()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        with reading_errors(path), path.open("rb") as stream:
            if stream.read(len(POINTER_OF_LFS)) == POINTER_OF_LFS:
                raise DataError(f"data file {path} {POINTER_SAID}") from error
        kind = "parquet" if path.suffix.lower() in PARQUET else "Arrow"
        raise DataError(f"data file {path} is not a readable {kind} file: {error}") from error


def _column(values: pyarrow.ChunkedArray, where: str) -> Column:
    def fetch() -> list[Any]:
        try:
            return values.to_pylist()
        except UnicodeDecodeError as error:
            raise DataError(f"{where} holds bytes that are not UTF-8 text: {error}") from error

    kind = _kind(values.type)
    # Texts may all be numbers, and lists of turns may all be empty: that only the values tell.
    return Column(fetch, None if kind in (TEXT, CHAT) else kind)


def _kind(kind: pyarrow.DataType) -> str:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        item = kind.value_type
        names = {item.field(i).name for i in range(item.num_fields)} if types.is_struct(item) else set()
        return CHAT if {"role", "content"} <= names or {"from", "value"} <= names else LISTS
    is_view = getattr(types, "is_string_view", lambda _: False)
    tests = (
        (TEXT, lambda k: types.is_string(k) or types.is_large_string(k) or is_view(k)),
        (NUMBERS, lambda k: types.is_integer(k) or types.is_floating(k) or types.is_decimal(k)),
        (BOOLEANS, types.is_boolean),
        (OBJECTS, lambda k: types.is_struct(k) or types.is_map(k)),
        (BINARY, lambda k: types.is_binary(k) or types.is_large_binary(k) or types.is_fixed_size_binary(k)),
        (NOTHING, types.is_null),
    )
    return next((name for name, test in tests if test(kind)), str(kind))
