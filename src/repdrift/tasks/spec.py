"""What a task is: its kind, its columns, and where its data comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from repdrift.core.registry import Registry

TaskKind = Literal["classification", "extractive_qa"]
TASK_KINDS: tuple[TaskKind, ...] = ("classification", "extractive_qa")
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    text_columns: one or two columns; for `extractive_qa` (question, context).
    label_column: integer class, or for `extractive_qa` the answers ({text, answer_start}); None if unlabelled.
    id_column: a unique name for each row; None: the row number.
    hub: (repository, configuration) on the Hugging Face hub, if it is there.
    files: the user's own file for a split, which then goes before every other source.
    """

    name: str
    kind: TaskKind
    text_columns: tuple[str, ...]
    label_column: str | None
    title: str
    id_column: str | None = None
    label_names: tuple[str, ...] | None = None
    hub: tuple[str, str | None] | None = None
    files: dict[Split, Path] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be present."""
        named = (*self.text_columns, self.label_column, self.id_column)
        return tuple(column for column in named if column is not None)


_REGISTRY: Registry[TaskSpec] = Registry("task", "repdrift.tasks.builtin")


def register(spec: TaskSpec) -> TaskSpec:
    """Make a built-in task known by its name."""
    return _REGISTRY.add(spec.name, spec)


def task(name: str) -> TaskSpec:
    """The built-in task of that name. Raises UnknownNameError with the nearest known name."""
    return _REGISTRY.get(name)


def tasks() -> list[str]:
    """Names of the built-in tasks."""
    return _REGISTRY.names()
