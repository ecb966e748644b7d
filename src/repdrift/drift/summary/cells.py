"""Numbers and claims as the cells of the summary's Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from repdrift.core.records.results import HypothesisTest, StudyInfo


def claim_of(test: HypothesisTest, study: StudyInfo) -> str:
    """What a test is about, in a few words."""
    comparison, reference = study.comparison_method, study.reference_method
    return {
        "comparison_drifts_less": f"{comparison} drifts less",
        "reduction_exceeds_target": f"{comparison} drifts at least {100 * study.target_reduction:g} % less",
        "methods_equivalent": f"the drifts of {comparison} and {reference} lie within a factor of {test.margin or 1:g}",
        "drift_above_identity": f"{test.method} drifts more than the noise of extraction",
        "drift_above_seed_ceiling": f"{test.method} drifts farther than its seeds lie apart",
        "method_task_interaction": "the reduction differs between tasks",
    }[test.hypothesis]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what would break a cell is escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """In as many digits as a small drift needs; `missing` for None and NaN."""
    if value is None or pd.isna(value):
        return "missing"
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def percent(value: float | None) -> str:
    """A share in percent, or `none`."""
    return "none" if value is None else f"{100 * value:.1f} %"


def pvalue(value: float | None) -> str:
    """Three digits, or `none`."""
    return "none" if value is None else f"{value:.3g}"
