"""Sentences on how outcomes were measured, each with the models that it is about where it is not about all."""

from __future__ import annotations

from collections import Counter

from repdrift.core.words import counted, method_title, some_listed, task_title


class NotesOfModels:
    """Collects sentences from the records of one kind of outcome after the other. Models are named by task and method."""

    def __init__(self) -> None:
        self._measured: dict[str, Counter[tuple[str, str]]] = {}
        self._noted: dict[tuple[str, str], Counter[tuple[str, str]]] = {}

    def add(self, kind: str, task: str, method: str, notes: list[str]) -> None:
        """Take the notes of one model's outcomes of a kind."""
        model = (task, method)
        self._measured.setdefault(kind, Counter())[model] += 1
        for note in dict.fromkeys(notes):
            self._noted.setdefault((kind, note), Counter())[model] += 1

    def sentences(self) -> list[str]:
        """Each sentence once, in the order of their first model; `LoRA on SST-2: ...` if it is not about all models of its kind."""
        found: dict[str, None] = {}
        for (kind, note), models in self._noted.items():
            found[note if models == self._measured[kind] else f"{self._whose(kind, models)}: {note}"] = None
        return list(found)

    def _whose(self, kind: str, models: Counter[tuple[str, str]]) -> str:
        measured = self._measured[kind]
        tasks = {task for task, _ in measured}
        names: list[str] = []
        for (task, method), count in models.items():
            part = (
                "" if count == measured[task, method] else f" ({count} of {counted(measured[task, method], 'model')})"
            )
            names.append(f"{method_title(method)}{f' on {task_title(task)}' if len(tasks) > 1 else ''}{part}")
        said = some_listed(names, most=3)
        return said[:1].upper() + said[1:]
