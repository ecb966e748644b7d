"""Reads the rows of a task of kind `causal_lm` from a table: prompts with their completions, or chats."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError
from repdrift.core.words import counted, listed
from repdrift.tasks.chat_text import Turn
from repdrift.tasks.chat_turns import turn_text
from repdrift.tasks.continuation import NO_ANSWER
from repdrift.tasks.continuation_text import prompt_template, prompted
from repdrift.tasks.data_files import Row
from repdrift.tasks.data_table import CHAT, DataTable, example
from repdrift.tasks.spec import TaskSpec

ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model"), "assistant"),
}
"""Roles as data sets write them, and what they are called in a chat template."""


def chats(table: DataTable, name: str) -> list[list[Turn] | None]:
    """The chats of one column, as turns of `role` and `content`; None for a row without an assistant turn that says something.

    Raises DataError with the line for a cell that is no chat, a role that is not known, or a turn that holds anything but text.
    """
    return [_chat(value, table.at(row), name) for row, value in enumerate(table.columns[name].values)]


def completions(table: DataTable, name: str) -> list[str | list[str] | None]:
    """The completions of one column: a text, or the accepted answers where a cell has several ({text: [...]}, as SQuAD); None for none.

    A cell whose answers are an empty list has the answer "unanswerable". Raises DataError with the line for anything else.
    """
    return [_completion(value, table, row, name) for row, value in enumerate(table.columns[name].values)]


def require_prompts(table: DataTable, spec: TaskSpec) -> None:
    """Raises DataError if a column of the prompt holds chats, whose roles would be lost."""
    for name in spec.text_columns:
        if table.columns[name].kind == CHAT:
            raise DataError(
                f"{table.where}: column {name!r} holds chat turns; a prompt is a text. Write prompt and completion as one chat in one column, and name "
                "it with messages_column."
            )


def without_prompt_or_completion(texts: dict[str, Sequence[Any]], spec: TaskSpec, lacking: Sequence[int]) -> list[int]:
    """Returns the rows to leave out: those that lack the completion, or every text of the prompt. In the others a blank text stays empty.

    A template of an instruction and its input has rows without an input. texts: by column, changed in place: None becomes "".
    """
    blank = {name: [i for i in lacking if not (texts[name][i] or "").strip()] for name in spec.text_columns}
    without_prompt = set.intersection(*map(set, blank.values()))
    for name, rows in blank.items():
        filled = list(texts[name])
        for row in rows:
            filled[row] = ""
        texts[name] = filled
    completion = texts[spec.label_column or ""]
    return [i for i in lacking if i in without_prompt or completion[i] is None]


def words_of(value: Any) -> str:
    """Every text of a cell as one: of a chat the contents, of answers the answers."""
    if isinstance(value, str):
        return value
    return "".join(part["content"] if isinstance(part, Mapping) else part for part in value)


def continuation_row_notes(
    table: DataTable, spec: TaskSpec, rows: Sequence[Row], lacking: Sequence[int]
) -> tuple[str, ...]:
    """Sentences on how the rows were read, with an example of the first."""
    file = Path(table.where).name
    notes = _chat_notes(spec, rows, file) if spec.is_chat else _prompt_notes(spec, rows, file)
    if lacking:
        cause = (
            "no assistant turn says anything" if spec.is_chat else "the prompt or the completion is missing or blank"
        )
        notes.append(
            f"{counted(len(lacking), 'row')} left out, since {cause}; the first is {table.unit} {table.numbers[lacking[0]]}."
        )
    return (*notes, *table.notes)


def _chat(value: Any, at: str, name: str) -> list[Turn] | None:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)  # in a csv file a chat is JSON
        except ValueError:
            value = None
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        raise DataError(
            f"{at}: column {name!r} should hold a chat, a list of turns such as {{role: user, content: ...}}, got {example(str(value))}"
        )
    turns: list[Turn] = []
    for number, turn in enumerate(value, start=1):
        said = turn.get("role", turn.get("from"))
        role = ROLES.get(said.strip().lower()) if isinstance(said, str) else None
        if role is None:
            raise DataError(
                f"{at}: turn {number} of the chat in column {name!r} has the role {said!r}; roles that are read are {', '.join(ROLES)}. Take the row "
                "out, or write the turn as one of these."
            )
        turns.append({"role": role, "content": turn_text(turn, at)})
    said = [turn for turn in turns if turn["role"] == "assistant"]
    return turns if said and all(turn["content"].strip() for turn in said) else None


def _completion(value: Any, table: DataTable, row: int, name: str) -> str | list[str] | None:
    if isinstance(value, str):
        if not value.lstrip().startswith('{"text"'):
            missing = table.missing and len(value) < 10 and value.strip().casefold() in table.missing
            return None if missing or not value.strip() else value
        try:
            value = json.loads(value)  # in a csv file the answers are JSON
        except ValueError:
            return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    answers = value.get("text") if isinstance(value, dict) else value
    if not isinstance(answers, list) or not all(isinstance(text, str) for text in answers):
        raise DataError(
            f"{table.at(row)}: column {name!r} should hold the completion, a text or several accepted answers ({{text: [...]}}), got "
            f"{example(repr(value))}. Numbers are written as texts."
        )
    kept = [text for text in answers if text.strip()]
    return kept or [NO_ANSWER]


def _prompt_notes(spec: TaskSpec, rows: Sequence[Row], file: str) -> list[str]:
    columns = listed([repr(name) for name in spec.text_columns])
    template = prompt_template(spec)
    texts = [prompted(row, spec, template) for row in rows]
    first = texts[0]
    notes = [
        f"The prompt is made of {'column' if len(spec.text_columns) == 1 else 'columns'} {columns} of {file}, the completion of {spec.label_column!r}. "
        f"{counted(len(rows), 'row')} read; the first prompt ends with {_end_of(first.prompt)}, and {example(first.completion)} is to follow."
    ]
    blank = {name: count for name in spec.text_columns if (count := sum(not row[name] for row in rows))}
    notes += [
        f"{counted(count, 'row')} with nothing in column {name!r}; it is left empty in the prompt."
        for name, count in blank.items()
    ]
    if unanswered := sum(row[spec.label_column or ""] == [NO_ANSWER] for row in rows):
        notes.append(f"{counted(unanswered, 'row')} without an answer: the completion is {NO_ANSWER!r}.")
    joined = [text for text in texts if text.prompt[-1:].isalnum() and text.completion[:1].isalnum()]
    glued = joined or [t for t in texts if t.prompt and not t.prompt[-1].isspace() and not t.completion[:1].isspace()]
    if glued:
        seen = f"{_end_of(glued[0].prompt)} and {example(glued[0].completion)}"
        notes.append(
            f"In {counted(len(glued), 'row')} of {len(texts)} prompt and completion meet without a space, as in {seen}: if they should not, give a "
            f"template that puts one between them, such as '...{{{spec.text_columns[-1]}}}\\n{{{spec.label_column}}}'."
        )
    return notes


def _chat_notes(spec: TaskSpec, rows: Sequence[Row], file: str) -> list[str]:
    name = spec.text_columns[0]
    turns = [turn for row in rows for turn in row[name]]
    roles = Counter(turn["role"] for turn in turns)
    said = ", ".join(f"{roles[role]} of {role}" for role in ("system", "user", "assistant") if roles[role])
    last = sum(row[name][-1]["role"] != "assistant" for row in rows)
    notes = [
        f"The chats are column {name!r} of {file}. {counted(len(rows), 'row')} read, with {said}; the first begins with {example(rows[0][name][0]['content'])}."
    ]
    if last:
        notes.append(
            f"{counted(last, 'chat')} with other turns after the assistant's last; these turns are not read, since nothing follows them."
        )
    return notes


def _end_of(text: str) -> str:
    shown = text[-40:]
    return repr(shown if len(shown) == len(text) else "..." + shown)
