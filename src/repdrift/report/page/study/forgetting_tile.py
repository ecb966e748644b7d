"""The tile of forgetting: the rise of the loss on general text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repdrift.core.outcome_words import not_there
from repdrift.core.records.outcomes import ArmDifference, ArmOutcome, StudyOutcomes
from repdrift.core.words import listed, sentence_case, signed_digits
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict
from repdrift.report.page.study.outcome_lines import outcome_lines, side
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

FORGETTING = "forgetting"


def forgetting_tile(data: ReportData) -> Tile:
    """Returns the tile: means over the tasks on which every method has it, or why there is none."""
    label = "Forgetting on general text"
    found = data.results.outcomes
    arms = (
        [] if found is None else [a for a in found.arms if a.outcome == FORGETTING and a.layer is None and not a.step]
    )
    if found is None or not arms:
        line = "The loss on general text was not measured."
        return Tile("forgetting", label, NOT_KNOWN, "not measured", "open", line, _why_not(found))
    tasks, titles, lines = _common_tasks(arms), arm_titles(data), outcome_lines(data, {FORGETTING})
    chip, verdict = _chip(arms, [d for d in found.differences if d.outcome == FORGETTING])
    if not tasks:
        return Tile("forgetting", label, NOT_KNOWN, chip, verdict, "No task has it for every method.", lines)
    named = [
        (_mean(arms, method, tasks), titles.get(method, method)) for method in dict.fromkeys(a.method for a in arms)
    ]
    info = found.info(FORGETTING)
    unit = f" in {info.unit}" if info is not None else ""
    rise = (
        f"Rise of the loss{unit}, mean over models on {listed([task_titles(data).get(task, task) for task in tasks])}."
    )
    (least, least_arm), (most, most_arm) = min(named), max(named)
    if len(named) == 1:
        return Tile("forgetting", label, signed_digits(least), chip, verdict, rise, lines)
    if len(named) == 2:
        value, both = " / ".join(signed_digits(mean) for mean, _ in named), " / ".join(arm for _, arm in named)
        return Tile("forgetting", f"{label}, {both}", value, chip, verdict, rise, lines)
    value = f"{signed_digits(least)} to {signed_digits(most)}"
    return Tile("forgetting", label, value, chip, verdict, f"From {least_arm} to {most_arm}. {rise}", lines)


def _mean(arms: Sequence[ArmOutcome], method: str, tasks: Sequence[str]) -> float:
    rises = [a.difference for a in arms if a.method == method and a.task in tasks and a.difference is not None]
    return float(np.mean(rises))


def _common_tasks(arms: Sequence[ArmOutcome]) -> list[str]:
    """The tasks on which every method has a number."""
    methods = {arm.method for arm in arms}
    there = {(arm.task, arm.method) for arm in arms if arm.difference is not None}
    return [
        task for task in dict.fromkeys(arm.task for arm in arms) if all((task, method) in there for method in methods)
    ]


def _chip(arms: Sequence[ArmOutcome], differences: Sequence[ArmDifference]) -> tuple[str, Verdict]:
    """The verdict: less than the reference or not; without a reference, whether anything was forgotten."""
    if differences:
        judged = [at for d in differences if (at := side(d, higher_is_better=False)) is not None]
        less, more = judged.count("better"), judged.count("worse")
        if not judged:
            return "not tested", "plain"
        if less and more:
            return "less and more", "open"
        if more:
            return f"more in {more} of {len(judged)}", "no"
        return (f"less in {less} of {len(judged)}", "yes") if less else ("no difference shown", "plain")
    lows = [arm.low for arm in arms if arm.low is not None]
    if not lows:
        return "not tested", "plain"
    return ("forgets", "no") if any(low > 0 for low in lows) else ("none shown", "plain")


def _why_not(found: StudyOutcomes | None) -> list[str]:
    """Returns the reasons, each with what helps."""
    if found is None:
        return ["No outcome was measured; `repdrift evaluate` measures them."]
    about = [missing for missing in found.missing if missing.outcome in (None, FORGETTING)]
    said = not_there(found.model_copy(update={"missing": about}))
    return [f"{sentence_case(line.rstrip('.'))}." for line in said] or ["The study names no general text."]
