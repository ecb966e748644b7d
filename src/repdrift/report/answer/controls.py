"""Whether drift, and the difference of the methods, is more than the controls give."""

from __future__ import annotations

import numpy as np

from repdrift.report.answer.point import Point, part_of_all
from repdrift.report.tables import ReportData
from repdrift.report.wording import listed, method_title, small


def noise(data: ReportData) -> Point:
    """Against two extractions of the base model."""
    question = "Is the drift more than the noise of extraction?"
    checked = data.primary["above_noise"].dropna()
    if checked.empty:
        text = "There is no second extraction of the base model, so how large the noise is could not be measured."
        return Point(question, "Not known.", text, "open")
    above, total = int(checked.sum()), len(checked)
    text = f"{above} of {total} measured drifts (task, method, seed, layer) lie above what extracting the base model twice gives."
    unchecked = len(data.primary) - total
    if unchecked:
        text += f" For {unchecked} more there is nothing to compare with."
    short, state = part_of_all(above, total)
    return Point(question, short, text, state)


def between_seeds(data: ReportData) -> Point:
    """The difference of the methods against the drift between two seeds of one of them."""
    question = "Is the difference of the methods more than that of two seeds?"
    study = data.results.study
    larger: list[str] = []
    parts: list[str] = []
    unknown: list[str] = []
    for task in data.compared_tasks():
        ceilings = [
            data.control_drift("seed_ceiling", task, m) for m in (study.reference_method, study.comparison_method)
        ]
        means = [data.mean_drift(task, m) for m in (study.reference_method, study.comparison_method)]
        known = [float(c.mean()) for c in ceilings if np.isfinite(c).all()]
        gap = abs(float((means[0] - means[1]).mean()))
        if not known or not np.isfinite(gap):
            unknown.append(task)
            continue
        if gap > max(known):
            larger.append(task)
        parts.append(f"{task} {small(gap)} against {small(max(known))}")
    if not parts:
        return Point(
            question, "Not known.", "It takes two models of one method that differ in their seed alone.", "open"
        )
    compared = f"Difference of mean drift against drift between two seeds of one method: {'; '.join(parts)}."
    if unknown:
        compared += f" Not known on {listed(unknown)}."
    if not larger:
        text = f"{compared} A difference that two seeds of one method reach too is not a finding."
        return Point(question, "No.", text, "no")
    if len(larger) == len(parts):
        return Point(question, "Yes.", compared, "yes")
    return Point(question, f"On {listed(larger)} only.", compared, "open")


def random_change(data: ReportData) -> Point | None:
    """Against the base model moved at random by as much; None where that was not measured."""
    if not data.at_hand("random_change"):
        return None
    more, parts, unknown = 0, [], []
    for method in data.methods:
        for task in data.tasks:
            drift = float(data.mean_drift(task, method).mean())
            random = float(data.control_drift("random_change", task, method).mean())
            name = f"{method_title(method)} on {task}"
            if np.isfinite([drift, random]).all():
                more += drift > random
                parts.append(f"{name} {small(drift)} against {small(random)}")
            else:
                unknown.append(name)
    question = "Is it more than a random change of the same size?"
    if not parts:
        return Point(question, "Not known.", "No task and method has both drifts in every layer.", "open")
    text = f"Mean drift against that of the base model with its weights moved at random by as much: {'; '.join(parts)}."
    if unknown:
        text += f" Not known for {listed(unknown)}."
    if more < len(parts):
        text += " Where the random change drifts as much, it is the size of the change that shows, not what was learnt."
    short, state = part_of_all(more, len(parts))
    return Point(question, short, f"{text} This is a comparison, not a test.", state)
