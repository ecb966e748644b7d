"""Checks the columns of a table against a task, and makes its rows; says what was used as text and what was left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError
from repdrift.core.words import counted, listed
from repdrift.tasks.answer_places import place_notes
from repdrift.tasks.chat_turns import joined_turns, unread_entries
from repdrift.tasks.continuation_rows import (
    chats,
    completions,
    continuation_row_notes,
    require_prompts,
    without_prompt_or_completion,
    words_of,
)
from repdrift.tasks.data_files import Row
from repdrift.tasks.data_table import CHAT, NUMBERS, DataTable, example
from repdrift.tasks.group_names import group_names
from repdrift.tasks.labels import checked_answers, checked_classes
from repdrift.tasks.sample_facts import cell_text
from repdrift.tasks.spec import TaskSpec

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_REPLACEMENT = "\ufffd"
_WORDS_FOR_NOTHING = frozenset({"nan", "none", "null", "<na>"})


def checked_rows(
    table: DataTable, spec: TaskSpec, *, labelled: bool = True, grouped: bool = True
) -> tuple[list[Row], tuple[str, ...]]:
    """Returns the rows with the columns that `spec` names, and sentences on how they were read.

    labelled, grouped: whether the column of the label, and that of the groups, must be there. A row of the user's own file that lacks a text is left out and counted; in
    the data of a built-in task it is an error. Raises DataError with the line for a text, label or id of the wrong kind.
    """
    wanted = wanted_columns(spec, table, labelled=labelled, grouped=grouped)
    _require_columns(table, spec, wanted)
    texts: dict[str, Sequence[Any]]
    if spec.is_chat:
        texts = {name: chats(table, name) for name in spec.text_columns}
    else:
        texts = {name: _texts(table, name) for name in spec.text_columns}
    if spec.kind == "causal_lm" and spec.label_column is not None:
        require_prompts(table, spec)
        texts[spec.label_column] = completions(table, spec.label_column)
    lacking = [i for i, cells in enumerate(zip(*texts.values(), strict=True)) if not all(map(_has_text, cells))]
    if spec.kind == "causal_lm" and not spec.is_chat:
        lacking = without_prompt_or_completion(texts, spec, lacking)
    if lacking and not spec.files:
        name = next(n for n in texts if not _has_text(texts[n][lacking[0]]))
        got = table.columns[name].values[lacking[0]]
        raise DataError(f"{table.at(lacking[0])}: column {name!r} should be a text, got {got!r}")
    if len(lacking) == len(table):
        lacks = "a chat in which the assistant says something" if spec.is_chat else "a text"
        raise DataError(
            f"{table.where}: no row has {lacks} in {_columns(tuple(texts))} ({counted(len(table), 'row')}, the first is {table.unit} {table.numbers[0]})"
        )
    left_out = set(lacking)
    kept = [i for i in range(len(table)) if i not in left_out] if lacking else range(len(table))
    columns: dict[str, Sequence[Any]] = {name: [values[i] for i in kept] for name, values in texts.items()}
    for name, values in columns.items():
        words = list(map(words_of, values)) if spec.kind == "causal_lm" else values
        _require_whole_characters(table, name, words, kept)
    if spec.id_column is not None:
        columns[spec.id_column] = _ids(table, spec.id_column, kept)
    if labelled and spec.label_column is not None and spec.kind != "causal_lm":
        check = checked_classes if spec.kind == "classification" else checked_answers
        columns[spec.label_column] = check(table, spec, kept, columns)
        if spec.kind == "classification":
            _require_whole_characters(table, spec.label_column, list(map(str, columns[spec.label_column])), kept)
    columns |= {name: _apart(table, spec, name, kept) for name in wanted if name not in columns}
    ordered = [columns[name] for name in wanted]
    rows = [dict(zip(wanted, cells, strict=True)) for cells in zip(*ordered, strict=True)]
    if spec.kind == "causal_lm":
        notes = continuation_row_notes(table, spec, rows, lacking)
    else:
        notes = (*_notes(table, spec, columns, lacking, len(rows)), *_place_notes(table, spec, kept, columns))
    # A name of a column may hold half a character; a note must be fit for a file.
    return rows, tuple(note.encode("utf-8", "backslashreplace").decode() for note in notes)


def _apart(table: DataTable, spec: TaskSpec, name: str, kept: Sequence[int]) -> list[str] | list[str | None]:
    """A column that no model reads: the names of groups, or facts about samples."""
    if name == spec.group_column:
        return group_names(table, name, kept)
    return [cell_text(table.columns[name].values[i]) for i in kept]


def wanted_columns(spec: TaskSpec, table: DataTable, *, labelled: bool, grouped: bool) -> list[str]:
    """Returns the columns that a row has. labelled, grouped: whether those of the label and of the groups must be there; groups are taken if they are."""
    wanted = [c for c in spec.columns if labelled or c != spec.label_column]
    group = spec.group_column
    if group is not None and group not in wanted and (grouped or group in table.columns):
        wanted.append(group)
    wanted += [name for name in spec.sample_columns if name not in wanted and (grouped or name in table.columns)]
    return wanted


def _place_notes(table: DataTable, spec: TaskSpec, kept: Sequence[int], columns: dict[str, Sequence[Any]]) -> list[str]:
    """Sentences on answers that do not stand at their places, where answers were read."""
    answers = columns.get(spec.label_column or "") if spec.kind == "extractive_qa" else None
    return [] if answers is None else place_notes(table, kept, answers, columns[spec.text_columns[1]])


def _require_columns(table: DataTable, spec: TaskSpec, wanted: Sequence[str]) -> None:
    absent = [column for column in wanted if column not in table.columns]
    if absent:
        raise DataError(
            f"{table.at(0)}: column {absent[0]!r} is not there; task {spec.name!r} needs {', '.join(wanted)}, the file has "
            f"{', '.join(table.columns) or 'none'}{f' ({table.how})' if table.how else ''}. Name the columns of a file of your own in its entry of "
            "the study, or with the options of `repdrift train --text-column NAME --label-column NAME --id-column NAME --group-column NAME`."
        )


def _texts(table: DataTable, name: str) -> list[str | None]:
    """The texts of one column; None where there is none. Chats are joined turn by turn."""
    column = table.columns[name]
    values = column.values
    if column.kind == CHAT:
        return [joined_turns(v, table.at(i)) if isinstance(v, list) and v else None for i, v in enumerate(values)]
    found: list[str | None] = []
    for i, value in enumerate(values):
        if type(value) is str:
            known_missing = table.missing and len(value) < 10 and value.strip().casefold() in table.missing
            found.append(None if known_missing else value)
        elif value is None or (isinstance(value, float) and math.isnan(value)):
            found.append(None)
        else:
            raise DataError(f"{table.at(i)}: column {name!r} should be a text, got {_shown(value)}.{_remedy(value)}")
    return found


def _has_text(value: str | Sequence[Any] | None) -> bool:
    if value is not None and not isinstance(value, str):
        return len(value) > 0
    return value is not None and not (not value or value.isspace()) and bool(value.strip(_INVISIBLE))


def _remedy(value: Any) -> str:
    if isinstance(value, list):
        return " Join the parts of each text to one text first, as in frame['text'] = frame['tokens'].str.join(' ')."
    return " Write it as text, or name another column as the text." if not isinstance(value, str) else ""


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) < 60 else f"{repr(value)[:60]}... ({type(value).__name__})"


def _require_whole_characters(table: DataTable, name: str, values: Sequence[str], kept: Sequence[int]) -> None:
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        for i, value in zip(kept, values, strict=True):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                code = ord(value[error.start])
                raise DataError(
                    f"{table.at(i)}: column {name!r} holds half a character at position {error.start} (the surrogate \\u{code:04x} without its other half). "
                    "It comes from a text that was cut inside an emoji or another character that takes two units, for example by a limit on "
                    "length. Take it out, or cut the text elsewhere."
                ) from None
        raise  # two halves met where texts were joined: cannot be, since each is whole


def _ids(table: DataTable, name: str, kept: Sequence[int]) -> list[Any]:
    values = table.columns[name].values
    found: list[Any] = []
    for i in kept:
        value = values[i]
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # whole numbers, in a column that once had gaps
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            got = "none" if value in (None, "") or str(value) == "nan" else _shown(value)
            raise DataError(
                f"{table.at(i)}: column {name!r} should name each row by a text or a whole number, got {got}"
            )
        found.append(value)
    _require_whole_characters(table, name, list(map(str, found)), kept)
    return found


def _notes(
    table: DataTable, spec: TaskSpec, columns: dict[str, Sequence[Any]], lacking: Sequence[int], count: int
) -> tuple[str, ...]:
    file = Path(table.where).name
    first = " and ".join(example(columns[name][0]) for name in spec.text_columns)
    others = [name for name in table.columns if name not in (*spec.columns, spec.group_column, *spec.sample_columns)]
    used = f"each line of {file}" if table.whole_lines else _columns(spec.text_columns)
    beside = f" of {file}" if not table.whole_lines else ""
    not_used = (
        f"; not used: {', '.join(others[:8])}{', ...' if len(others) > 8 else ''}" if others and spec.files else ""
    )
    how = f" ({table.how})" if table.how else ""
    notes = [f"The text is {used}{beside}{how}{not_used}. {counted(count, 'row')} read; the first is {first}."]
    if lacking:
        cause = "a text is missing or blank" if len(spec.text_columns) > 1 else "the text is missing or blank"
        written = [v for n in spec.text_columns for i in lacking if isinstance(v := table.columns[n].values[i], str)]
        words = sorted({v.strip() for v in written if v.strip().casefold() in table.missing})
        cause += (
            f", as {' and '.join(map(repr, words))} are" if len(words) > 1 else f", as {words[0]!r} is" if words else ""
        )
        notes.append(
            f"{counted(len(lacking), 'row')} left out, since {cause}; the first is {table.unit} {table.numbers[lacking[0]]}."
        )
    notes += table.notes
    for name in spec.text_columns:
        if table.columns[name].kind == CHAT:
            notes.append(
                f"The turns of column {name!r} are joined with line breaks, without roles and without the model's chat template."
            )
            notes += _unread(table, name)
        if table.columns[name].kind == NUMBERS:
            notes.append(f"Every {'line' if table.whole_lines else f'text of column {name!r}'} is a number.")
        notes += _odd_texts(name, columns[name], table)
    return tuple(notes)


def _unread(table: DataTable, name: str) -> list[str]:
    """Says what the turns of a column hold that is not read."""
    chats = [value for value in table.columns[name].values if isinstance(value, list)]
    entries = [unread_entries(chat) for chat in chats]
    count = sum(map(bool, entries))
    if not count:
        return []
    names = sorted({entry for found in entries for entry in found})
    shown = ", ".join(map(repr, names[:6])) + (", ..." if len(names) > 6 else "")
    return [
        f"{counted(count, 'row')} of {len(chats)} with turns that hold more than role and text; what stands under {shown} is not read."
    ]


def _odd_texts(name: str, values: Sequence[str], table: DataTable) -> list[str]:
    notes: list[str] = []
    column = "" if table.whole_lines else f" in column {name!r}"
    everything = "".join(values)
    for character, said in (
        (_REPLACEMENT, "U+FFFD, which stands for characters lost in an earlier decoding"),
        ("\0", "NUL characters"),
    ):
        if character in everything:
            notes.append(f"{counted(sum(character in v for v in values), 'text')}{column} with {said}.")
    if all(value.startswith(("[{", "['", '["')) for value in values):
        notes.append(
            f"Every text{column} is a list or a chat that was written as text; it is read as it stands, brackets and all."
        )
    empty_words = [v for v in values if len(v) < 5 and v.casefold() in _WORDS_FOR_NOTHING]
    if empty_words:
        notes.append(
            f"{counted(len(empty_words), 'text')}{column} with nothing but {empty_words[0]!r}, as if a value were missing."
        )
    return notes


def _columns(names: Sequence[str]) -> str:
    return f"{'column' if len(names) == 1 else 'columns'} {listed([repr(name) for name in names])}"
