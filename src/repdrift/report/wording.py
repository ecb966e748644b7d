"""The words that figures and page share: methods, measures, claims. No markup and no escaping; who shows them escapes."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.results import StudyInfo

ALL_TASKS = "all"
"""The task name under which the analysis files what holds over all tasks."""

LESS = "comparison_drifts_less"
TARGET = "reduction_exceeds_target"
HYPOTHESES = (LESS, TARGET)

_METHODS = {"full_finetune": "full fine-tuning", "lora": "LoRA"}
_MEASURES = {
    "cka": "debiased CKA",
    "cka_biased": "biased CKA",
    "cosine": "raw cosine",
    "cosine_centered": "centred cosine",
}


def method_title(method: str) -> str:
    """A method as text; one that is not known keeps its name."""
    return _METHODS.get(method, method)


def task_title(task: str) -> str:
    """A task as text."""
    return "all tasks" if task == ALL_TASKS else task


def drift_definition(study: StudyInfo, measure: str) -> str:
    """What drift is in terms of `measure`: `1 - debiased CKA`, or a distance's name."""
    title = _MEASURES.get(measure) or study.measure_titles.get(measure, measure)
    return title if measure in study.distances else f"1 - {title}"


def claim(hypothesis: str, target_reduction: float) -> str:
    """What the comparison method is said to do."""
    return "drifts less" if hypothesis == LESS else f"drifts at least {100 * target_reduction:g} % less"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 layer`, `24 layers`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def small(value: float) -> str:
    """A drift in as many digits as it needs: 0.31, 0.004, 2e-06."""
    if value == 0 or abs(value) >= 0.0995:
        return f"{value:.2f}"
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.0e}"
