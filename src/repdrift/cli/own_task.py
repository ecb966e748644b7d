"""A task of the user's own, described by options of the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from repdrift.core.errors import ConfigError
from repdrift.core.words import listed

if TYPE_CHECKING:
    from repdrift.study.config import StudyConfig

_CONTINUATIONS = ("prompt_column", "completion_column", "messages_column")


@dataclass(frozen=True)
class OwnTask:
    """The options of a task of one's own, by the names that they have on the command line; None: not given."""

    data: Path | None = None
    train_data: Path | None = None
    text_column: list[str] | None = None
    label_column: str | None = None
    id_column: str | None = None
    group_column: str | None = None
    prompt_column: str | None = None
    completion_column: str | None = None
    messages_column: str | None = None
    kind: str | None = None
    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are written: `--text-column`."""
        named = {f"--{field.name.replace('_', '-')}": getattr(self, field.name) for field in fields(self)}
        return [flag for flag, value in named.items() if value not in (None, [])]

    @property
    def continues(self) -> bool:
        """True if columns of prompts, completions or chats are named."""
        return any(getattr(self, name) is not None for name in _CONTINUATIONS)


def with_own_task(study: StudyConfig, task: list[str] | None, own: OwnTask) -> StudyConfig:
    """Returns `study` with the user's own task in place of its tasks, if --data is given.

    Raises ConfigError if the options of the task are incomplete, or do not go together.
    """
    if own.data is None:
        if own.given:
            raise ConfigError(f"{listed(own.given)}: for a task of your own only. Give its file too, with --data FILE")
        return study
    from repdrift.core.records.results import ALL_TASKS
    from repdrift.study.config import parse_study

    if task is None or len(task) != 1 or task == [ALL_TASKS]:
        raise ConfigError("--data describes one task of your own: give it a name with --task NAME")
    kind = own.kind or ("causal_lm" if own.continues else "classification")
    if kind != "causal_lm" and not own.text_column:
        raise ConfigError(
            "--data needs --text-column: the column (or two) that holds the text; for a language model's prompts and completions, "
            "--prompt-column and --completion-column, or --messages-column"
        )
    content = study.model_dump(mode="json", exclude={"tasks", *({"tune"} if study.tune is None else ())})
    content["training"]["tasks"] = {}
    content["training"] = _without_none(content["training"])
    entry = {
        "name": task[0],
        "kind": kind,
        "validation": str(own.data),
        "train": str(own.train_data) if own.train_data else None,
        **({"text_columns": own.text_column} if own.text_column else {}),
        "label_column": own.label_column,
        "id_column": own.id_column,
        "group_column": own.group_column,
        **{name: value for name in _CONTINUATIONS if (value := getattr(own, name)) is not None},
        "separator": own.separator,
        "encoding": own.encoding,
        "header": own.header,
    }
    return parse_study({**content, "tasks": [entry]}, where="the options")


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return value
