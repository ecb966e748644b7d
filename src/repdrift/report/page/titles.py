"""Names of a study's tasks and methods on its page: as people write them, and never one name for two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from repdrift.core.words import method_title, task_title
from repdrift.report.report_data import ReportData


def arm_titles(data: ReportData) -> dict[str, str]:
    """The name of every method, in the study's order."""
    return titles(data.methods, method_title)


def task_titles(data: ReportData) -> dict[str, str]:
    """The name of every task, in the study's order."""
    return titles(data.tasks, task_title)


def titles(names: Sequence[str], title: Callable[[str], str]) -> dict[str, str]:
    """Returns a name for each of `names`. Where two would be called alike, as `lora` and `LoRA`, each has its own name behind it."""
    called = {name: title(name) for name in names}
    often = Counter(called.values())
    return {name: f"{words} ({name})" if often[words] > 1 else words for name, words in called.items()}
