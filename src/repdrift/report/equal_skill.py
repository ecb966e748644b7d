"""The comparison at equal skill as points of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from repdrift.core.equal_skill_words import in_one_line, over_all_tasks, second_opinion
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.words import method_title
from repdrift.report.points import Point, compared
from repdrift.report.report_data import ReportData


def compared_at_equal_skill(data: ReportData) -> bool:
    """Returns whether the method of this contrast was compared at equal skill over all tasks."""
    found = _found(data)
    return found is not None and found.test is not None


def at_equal_skill(data: ReportData) -> Point | None:
    """The comparison over all tasks at equal skill, or why there is none; None for results of older versions."""
    study, found = data.results.study, _found(data)
    if found is None:
        return None
    question = f"Does {method_title(study.comparison_method)} drift less than {method_title(study.reference_method)} at equal skill?"
    if found.test is None:
        return Point(question, "Not known.", in_one_line(found), "open")
    point = compared(question, found.test, unsure=any(score.tolerance is None for score in found.scores))
    said = second_opinion(found)
    cautions = [*found.conditions, *([f"Second opinion, a regression: {said}."] if said else [])]
    left_out = any(run.crossing == "never" for run in found.runs)
    short = point.short
    if left_out and point.state != "open":
        short = f"{short[:-1]}, among the runs that reach the score."
    return replace(point, short=short, text=" ".join([point.text, *cautions]))


def without_equal_skill(contrasts: Sequence[ReportData]) -> list[Point]:
    """A point that says why methods are not compared at equal skill, for those that are not; one for each reason."""
    by_reason: dict[str, list[str]] = {}
    for contrast in contrasts:
        found = _found(contrast)
        if found is not None and found.test is None:
            by_reason.setdefault(found.missing or "", []).append(method_title(found.comparison))
    reference = method_title(contrasts[0].results.study.reference_method)
    return [
        Point(f"Who drifts less than {reference} at equal skill ({', '.join(names)})?", "Not known.", reason, "open")
        for reason, names in by_reason.items()
    ]


def _found(data: ReportData) -> EqualSkill | None:
    return over_all_tasks(data.results.equal_skill, data.results.study.comparison_method)
