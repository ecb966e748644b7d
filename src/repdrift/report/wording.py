"""The words that figures and page share: methods, measures, claims. No markup and no escaping; who shows them escapes."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.hypotheses import ALIKE, INTERACTION, METHOD_CLAIMS
from repdrift.core.records.results import ALL_TASKS, IntervalSource, StudyInfo

OVER: dict[IntervalSource, str] = {
    "models and samples": "over models and samples",
    "models": "over trained models, for these samples",
    "samples": "over samples, for these trained models",
}
"""What an interval is over, from the widest claim to the narrowest."""
EFFECTS = {
    "difference": "difference of mean drifts",
    "ratio": "ratio of mean drifts",
    "log_ratio": "log of the ratio",
    "cliffs_delta": "Cliff's delta",
}

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


def estimate_text(hypothesis: str, value: float) -> str:
    """What a claim is about, in its unit: a reduction in percent, reductions' distance in points, a ratio, a drift."""
    if hypothesis in METHOD_CLAIMS:
        return f"{100 * value:.1f} %"
    if hypothesis == INTERACTION:
        return f"{100 * value:.1f} points"
    return f"{value:.2f}" if hypothesis == ALIKE else small(value)


def effect_text(name: str, value: float) -> str:
    """An effect size in as many digits as it needs."""
    return small(value) if name == "difference" else f"{value:.2f}"


def layer_ranges(layers: Sequence[int]) -> str:
    """Layer numbers with runs of neighbours drawn together: `0, 3 to 7`; `none` for no layer."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][1] + 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs) or "none"


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
