"""Outcomes beside a number on the page: the sentences about some of them, and on which side of none a difference lies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from repdrift.core.outcome_words import outcome_answer
from repdrift.core.records.outcomes import ArmDifference
from repdrift.report.report_data import ReportData

Side = Literal["better", "worse", "alike"]


def side(difference: ArmDifference, *, higher_is_better: bool) -> Side | None:
    """Tells where the whole interval of a difference lies; `alike` where it holds 0, None where there is no interval."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        return None
    if low <= 0 <= high:
        return "alike"
    return "better" if (low > 0) == higher_is_better else "worse"


def outcome_lines(data: ReportData, outcomes: Collection[str], *, differences_only: bool = False) -> list[str]:
    """Returns the sentences of the chapter on outcomes that are about these, on the whole model."""
    found = data.results.outcomes
    if found is None:
        return []
    differences = [d for d in found.differences if d.outcome in outcomes]
    about = {"arms": [arm for arm in found.arms if arm.outcome in outcomes], "differences": differences, "flips": []}
    lines = outcome_answer(found.model_copy(update=about), data.results.study.confidence)
    if not differences_only:
        return lines
    alone = set(outcome_answer(found.model_copy(update={**about, "differences": []}), data.results.study.confidence))
    return [line for line in lines if line not in alone]
