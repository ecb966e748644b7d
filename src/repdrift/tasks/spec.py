"""The specification of a task: its kind, its columns, and where its data comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from repdrift.core.registry import Registry
from repdrift.tasks.continuation import Continuation

TaskKind = Literal["classification", "extractive_qa", "causal_lm"]
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class FileFormat:
    """Says how the user's own text file is written. A field of None is found from the file, or the message asks for it.

    separator: of a csv or tsv file, one character or `tab`. encoding: a name of Python's, such as `cp1252`. header: whether
    the first line of a csv or tsv file names the columns.
    """

    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    text_columns: one or two columns; for `extractive_qa` these are (question, context); for `causal_lm` those of the prompt, or the one of
    the chats.
    label_column: holds a class, for `extractive_qa` the answers ({text, answer_start}), for `causal_lm` the completion; None if
    unlabelled, or if the task is chats.
    label_names: of a task with fixed classes; the data hold their numbers from 0, or these names.
    id_column: holds a unique name for each row; None: the row's number is its name.
    group_column: holds the name of a row's group, such as a paragraph or a speaker; rows of one group are no independent draws.
    sample_columns: hold facts by which samples are grouped in results, such as a topic; no model reads them, and training rows may lack them.
    hub: (repository, configuration) on the Hugging Face hub; None if the task is not there.
    folder: of the task in a data folder; None: its name. continuation: settings of a `causal_lm` task.
    files: the user's own file or folder for a split; it goes before every other source. file_format: how it is written.
    """

    name: str
    kind: TaskKind
    text_columns: tuple[str, ...]
    label_column: str | None
    title: str
    id_column: str | None = None
    group_column: str | None = None
    label_names: tuple[str, ...] | None = None
    sample_columns: tuple[str, ...] = ()
    hub: tuple[str, str | None] | None = None
    files: dict[Split, Path] = field(default_factory=dict)
    file_format: FileFormat = FileFormat()
    folder: str | None = None
    continuation: Continuation = Continuation()  # noqa: RUF009 (frozen)

    @property
    def is_chat(self) -> bool:
        """True if each row is a chat, whose assistant turns are learnt."""
        return self.kind == "causal_lm" and self.label_column is None

    def for_key(self) -> dict[str, Any]:
        """The settings of the kind of task that change trained weights, as plain JSON; empty for kinds that have none."""
        return {"causal_lm": self.continuation.for_training()} if self.kind == "causal_lm" else {}

    @property
    def groups_by(self) -> str | None:
        """The column that tells which rows belong together; for question answering the context, if none is named. None: each stands alone."""
        if self.group_column is None and self.kind == "extractive_qa":
            return self.text_columns[1]
        return self.group_column

    @property
    def group_unit(self) -> str:
        """A group of this task in one word: `paragraph`, `text`, or `group` for those that a column of the user's names."""
        if self.groups_by not in self.text_columns:
            return "group"
        return "paragraph" if self.kind == "extractive_qa" or str(self.groups_by).casefold() == "context" else "text"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the data must have, save those of groups and of facts about samples, which training rows may lack."""
        named = (*self.text_columns, self.label_column, self.id_column)
        return tuple(column for column in named if column is not None)


_REGISTRY: Registry[TaskSpec] = Registry("task", "repdrift.tasks.builtin")


def register(spec: TaskSpec) -> TaskSpec:
    """Register a built-in task under its name, and return it."""
    return _REGISTRY.add(spec.name, spec)


def task(name: str) -> TaskSpec:
    """Look up a built-in task. Raises UnknownNameError with the nearest known name if there is none of that name."""
    return _REGISTRY.get(name)


def tasks() -> list[str]:
    """The names of the built-in tasks."""
    return _REGISTRY.names()
