"""Answers of charts that are made from several parts: the arms of a study, and the models of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repdrift.core.worded_section import WordedSection
from repdrift.core.words import counted, listed, short_number
from repdrift.report.page.titles import arm_titles
from repdrift.report.report_data import ReportData

_MOST = 3
"""Arms or models that are named."""


def drift_in_words(data: ReportData) -> list[str]:
    """Says the mean drift of each arm in the first and the last layer, over the tasks on which it has models."""
    said: list[str] = []
    first, last = data.layers[0], data.layers[-1]
    for method, arm in list(arm_titles(data).items())[:_MOST]:
        means = np.array([data.mean_drift(task, method)[[0, -1]] for task in data.tasks])
        there = means[np.isfinite(means).all(axis=1)]
        if not len(there):
            said.append(f"{arm} has no drift")
            continue
        low, high = there.mean(axis=0)
        part = "" if len(there) == len(data.tasks) else f" ({len(there)} of {len(data.tasks)} tasks)"
        ends = f"{short_number(low)} in layer {first} to {short_number(high)} in layer {last}" if first != last else f"{short_number(low)} in layer {first}"  # fmt: skip
        said.append(f"{arm} {ends}{part}")
    more = len(data.methods) - len(said)
    others = f" {more} more methods are in the chart." if more > 0 else ""
    return [f"Mean drift over tasks and models: {listed(said)}.{others}"]


def _first_of_each(answer: list[str]) -> list[str]:
    """The sentences with the first one on each subject in front: the subject is what stands before a colon, such as a method."""
    subjects: dict[str, str] = {}
    for line in answer:
        subjects.setdefault(line.partition(": ")[0] if ": " in line else line, line)
    first = list(subjects.values())
    return [*first, *(line for line in answer if line not in first)]


def answer_of_models(sections: Sequence[tuple[str, WordedSection]]) -> list[str]:
    """Returns up to three sentences on the models of a comparison: those on the only model, or the first one on each, with its name before it."""
    if len(sections) == 1:
        answer = list(sections[0][1].answer)
        more = counted(len(answer) - _MOST, "more sentence")
        answer = _first_of_each(answer)
        if len(answer) > _MOST:
            answer[_MOST - 1] += f" ({more} in Numbers and notes.)"
        return answer[:_MOST]
    first = [(name, section.answer[0]) for name, section in sections if section.answer]
    return [line if name in line else f"{name}: {line}" for name, line in first][:_MOST]
