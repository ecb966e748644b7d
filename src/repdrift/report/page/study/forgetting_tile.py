"""The tile of forgetting: the rise of the loss on general text, or what was lost of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repdrift.core.outcome_words import not_there
from repdrift.core.records.outcomes import ArmDifference, ArmOutcome, StudyOutcomes
from repdrift.core.words import listed, number, sentence_case, signed_digits
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict
from repdrift.report.page.study.outcome_lines import outcome_lines, side
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

FORGETTING, RETRIEVAL = "forgetting", "retrieval"


@dataclass(frozen=True)
class _Kind:
    """One thing that a model can lose. label, rise: words for the tile and for its number; loss_is_up: True if a larger number is the loss."""

    outcome: str
    label: str
    rise: str
    loss_is_up: bool

    @property
    def less(self) -> str:
        """Words for an arm that loses less than the reference."""
        return "less" if self.loss_is_up else "loses less"

    @property
    def more(self) -> str:
        """Words for an arm that loses more than the reference."""
        return "more" if self.loss_is_up else "loses more"


_KINDS = (
    _Kind(FORGETTING, "Forgetting on general text", "Rise of the loss", loss_is_up=True),
    _Kind(
        RETRIEVAL,
        "Retrieval, tuned against base",
        "Change of the reciprocal rank of the right passage",
        loss_is_up=False,
    ),
)
"""The tile shows the first that was measured: a text encoder without a head for language modelling has no loss on general text."""


def forgetting_tile(data: ReportData) -> Tile:
    """Returns the tile: means over the tasks on which every method has it, or why there is none."""
    found = data.results.outcomes
    for kind in _KINDS:
        arms = [] if found is None else _arms(found, kind)
        if found is not None and arms:
            return _measured(data, found, kind, arms)
    line = "The loss on general text was not measured."
    return Tile("forgetting", _KINDS[0].label, NOT_KNOWN, "not measured", "open", line, _why_not(found))


def _arms(found: StudyOutcomes, kind: _Kind) -> list[ArmOutcome]:
    return [a for a in found.arms if a.outcome == kind.outcome and a.layer is None and not a.step]


def _measured(data: ReportData, found: StudyOutcomes, kind: _Kind, arms: Sequence[ArmOutcome]) -> Tile:
    label = kind.label
    tasks, titles, lines = _common_tasks(arms), arm_titles(data), outcome_lines(data, {kind.outcome})
    chip, verdict = _chip(arms, [d for d in found.differences if d.outcome == kind.outcome], kind)
    if not tasks:
        return Tile("forgetting", label, NOT_KNOWN, chip, verdict, "No task has it for every method.", lines)
    named = [
        (_mean(arms, method, tasks), titles.get(method, method)) for method in dict.fromkeys(a.method for a in arms)
    ]
    info = found.info(kind.outcome)
    unit = f" in {info.unit}" if info is not None and kind.loss_is_up else ""
    rise = (
        f"{kind.rise}{unit}, mean over models on {listed([task_titles(data).get(task, task) for task in tasks])}."
        f"{_base(arms, tasks) if not kind.loss_is_up else ''}"
    )
    (least, least_arm), (most, most_arm) = min(named), max(named)
    if len(named) == 1:
        return Tile("forgetting", label, signed_digits(least), chip, verdict, rise, lines)
    if len(named) == 2:
        value, both = " / ".join(signed_digits(mean) for mean, _ in named), " / ".join(arm for _, arm in named)
        return Tile("forgetting", f"{label}, {both}", value, chip, verdict, rise, lines)
    value = f"{signed_digits(least)} to {signed_digits(most)}"
    return Tile("forgetting", label, value, chip, verdict, f"From {least_arm} to {most_arm}. {rise}", lines)


def _base(arms: Sequence[ArmOutcome], tasks: Sequence[str]) -> str:
    """The base model's number, which is the same on every task; empty if it is not."""
    known = {a.base_value for a in arms if a.task in tasks}
    return f" The base model has {number(value)}." if len(known) == 1 and (value := known.pop()) is not None else ""


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


def _chip(arms: Sequence[ArmOutcome], differences: Sequence[ArmDifference], kind: _Kind) -> tuple[str, Verdict]:
    """The verdict: less than the reference or not; without a reference, whether anything was forgotten."""
    if differences:
        judged = [at for d in differences if (at := side(d, higher_is_better=not kind.loss_is_up)) is not None]
        less, more = judged.count("better"), judged.count("worse")
        if not judged:
            return "not tested", "plain"
        if less and more:
            return "less and more", "open"
        if more:
            return f"{kind.more} in {more} of {len(judged)}", "no"
        return (f"{kind.less} in {less} of {len(judged)}", "yes") if less else ("no difference shown", "plain")
    least = [arm.low if kind.loss_is_up else -arm.high for arm in arms if arm.low is not None and arm.high is not None]
    if not least:
        return "not tested", "plain"
    return ("forgets", "no") if any(loss > 0 for loss in least) else ("none shown", "plain")


def _why_not(found: StudyOutcomes | None) -> list[str]:
    """Returns the reasons, each with what helps."""
    if found is None:
        return ["No outcome was measured; `repdrift evaluate` measures them."]
    about = [missing for missing in found.missing if missing.outcome in (None, FORGETTING)]
    said = not_there(found.model_copy(update={"missing": about}))
    return [f"{sentence_case(line.rstrip('.'))}." for line in said] or ["The study names no general text."]
