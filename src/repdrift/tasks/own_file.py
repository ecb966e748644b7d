"""Makes a task from a user's file: finds which of its columns hold the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.tasks.column_names import NEVER_THE_TEXT, USUAL_CHAT_COLUMNS, USUAL_TEXT_COLUMNS
from repdrift.tasks.data_files import read_table
from repdrift.tasks.data_table import CHAT, TEXT, DataTable
from repdrift.tasks.sources import Rows, rows_of_table
from repdrift.tasks.spec import FileFormat, TaskSpec
from repdrift.tasks.text_files import PACKED


@dataclass(frozen=True)
class OwnFile:
    """The task that a user's file makes, and its rows."""

    spec: TaskSpec
    rows: Rows


def read_own_file(
    path: Path,
    *,
    text_columns: Sequence[str] | None = None,
    id_column: str | None = None,
    group_column: str | None = None,
    sample_columns: Sequence[str] = (),
    file_format: FileFormat = FileFormat(),  # noqa: B008 (frozen)
    how_to_name: str = "Name it with --text-column (twice for a pair).",
) -> OwnFile:
    """Make a task without labels from the file or folder `path`, named after it, and read its rows.

    text_columns: one or two; None: columns of usual names, or the only column that holds texts. group_column: names the group of each
    row; None: rows with one context belong together where the texts are a question and its context. sample_columns: hold facts by which samples are
    grouped in results, and are never taken for the text. file_format: what the user
    says on how it is written. how_to_name: the next step where the column cannot be told. Raises DataError if the file cannot be read or its text columns cannot be told;
    UnknownNameError if it lacks a column that was named.
    """
    named = (*(text_columns or ()), *(name for name in (id_column, group_column) if name), *sample_columns)
    # Without text columns, each column is looked at to find them.
    table = read_table(path, file_format=file_format, named=named, every_column=not text_columns)
    for name in named:
        if name not in table.columns:
            raise UnknownNameError.of(f"column of {path}{f' ({table.how})' if table.how else ''}", name, table.columns)
    chosen = (
        tuple(text_columns)
        if text_columns
        else _text_columns(table, (id_column, group_column, *sample_columns), how_to_name)
    )
    if len(chosen) > 2:
        raise DataError(f"{path}: at most two text columns make a sample, got {', '.join(chosen)}")
    if len(chosen) == 2 and chosen[0] == chosen[1]:
        raise DataError(f"{path}: the two texts of a pair should be two columns, got {chosen[0]!r} twice")
    usual = {name.casefold(): name for name in chosen}
    if group_column is None and list(usual) == ["question", "context"]:
        group_column = usual["context"]
    unpacked = path.with_suffix("") if path.suffix.lower() in PACKED else path
    spec = TaskSpec(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", path.name if path.is_dir() else unpacked.stem).lstrip("_.-") or "data",
        kind="classification",
        text_columns=chosen,
        label_column=None,
        id_column=id_column,
        group_column=group_column,
        sample_columns=tuple(dict.fromkeys(sample_columns)),
        title=f"{path.name}: a file of your own",
        files={"validation": path},
        file_format=file_format,
    )
    source = f"{'folder' if path.is_dir() else 'file'} {path}"
    return OwnFile(spec, rows_of_table(table, spec, source, labelled=False, grouped=True))


def spec_of_file(path: Path, *, text_columns: Sequence[str] | None = None, id_column: str | None = None) -> TaskSpec:
    """Make a task without labels from a file, see read_own_file()."""
    return read_own_file(path, text_columns=text_columns, id_column=id_column).spec


def _text_columns(table: DataTable, never: tuple[str | None, ...], how_to_name: str) -> tuple[str, ...]:
    if table.whole_lines:
        return tuple(table.columns)
    columns = {name: column for name, column in table.columns.items() if name not in never}
    by_usual_name = {name.casefold(): name for name in reversed(columns)}
    for usual in USUAL_TEXT_COLUMNS:
        found = [by_usual_name[name] for name in usual if name in by_usual_name]
        # Of text and something else too, it is still the column that is meant: the message then names the row.
        if len(found) == len(usual) and all(TEXT in columns[name].kind.split(" and ") for name in found):
            return tuple(found)
    texts = [n for n, column in columns.items() if column.kind == TEXT and n.casefold() not in NEVER_THE_TEXT]
    chats = [name for name, column in columns.items() if column.kind == CHAT]
    usual_chats = [name for name in chats if name.casefold() in USUAL_CHAT_COLUMNS]
    for found in (usual_chats, texts, chats):
        if len(found) == 1:
            return (found[0],)
    raise DataError(
        f"{table.where}: which column holds the text? It has {table.described() or 'no column'}"
        f"{f' ({table.how})' if table.how else ''}. {how_to_name}"
    )
