"""The answer in plain words: less or not, by how much, more than noise or not, the target, and what the design could show."""

from __future__ import annotations

from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.core.records.results import ALL_TASKS, HypothesisTest
from repdrift.report.answer.controls import between_seeds, noise, random_change
from repdrift.report.answer.design import design
from repdrift.report.answer.point import Point, tested
from repdrift.report.answer.size import size
from repdrift.report.tables import ReportData
from repdrift.report.wording import method_title

__all__ = ["Point", "answer"]


def answer(data: ReportData) -> list[Point]:
    """The points in the order in which one asks; without a comparison of methods only what can be said."""
    study = data.results.study
    less, target = data.test(LESS, ALL_TASKS), data.test(TARGET, ALL_TASKS)
    alike, interaction = data.test(ALIKE, ALL_TASKS), data.test(INTERACTION, ALL_TASKS)
    comparison, reference = method_title(study.comparison_method), method_title(study.reference_method)
    if less is None:
        text = "No task has final models of both methods, so they cannot be compared. The drift of each is below."
        unknown = Point(f"Does {comparison} drift less than {reference}?", "Not known.", text, "open")
        return [point for point in (unknown, noise(data), random_change(data)) if point is not None]
    points = [
        tested(f"Does {comparison} drift less than {reference}?", less),
        size(data),
        None if alike is None else tested("Are they alike?", alike),
        None if interaction is None else _same_on_all_tasks(interaction),
        noise(data),
        between_seeds(data),
        random_change(data),
        None if target is None else tested(f"Is the target of {100 * study.target_reduction:g} % less met?", target),
        design(data, less),
    ]
    return [point for point in points if point is not None]


def _same_on_all_tasks(interaction: HypothesisTest) -> Point:
    """The test's claim is that the tasks differ: where it is supported, the answer is no; where it is not, sameness is not shown."""
    question = "Is it the same on all tasks?"
    if interaction.verdict == "supported":
        return Point(question, "No.", interaction.sentence, "no")
    if interaction.verdict == "rejected":
        return Point(question, "Yes.", interaction.sentence, "yes")
    if interaction.verdict == "not testable":
        return tested(question, interaction)
    return Point(question, "No difference shown.", interaction.sentence, "open")
