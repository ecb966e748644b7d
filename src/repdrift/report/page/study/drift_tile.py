"""The tile of drift by arm: means over tasks, layers and models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import counted, listed, sentence_case, short_number
from repdrift.report.answer import between_seeds, noise, random_change
from repdrift.report.dashboard.sections import standings
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_CHIPS: dict[str, tuple[str, Verdict]] = {
    "yes": ("more than noise", "yes"),
    "no": ("not more than noise", "no"),
    "open": ("partly noise", "open"),
}
_SEEDS: dict[bool, tuple[str, Verdict]] = {
    True: ("more than noise and seeds", "yes"),
    False: ("not above seeds everywhere", "open"),
}
"""Noise of extraction alone is so small that nearly every drift exceeds it: the drift between two seeds is the control that can fail."""
_NAMED_ARMS = 2


@dataclass(frozen=True)
class ArmDrift:
    """Drift of one arm. mean: over the tasks that all arms have; None if there is none. by_task: None where a model or layer is missing."""

    arm: str
    mean: float | None
    by_task: dict[str, float | None]
    models: int
    planned: int


def arm_drifts(data: ReportData) -> tuple[list[ArmDrift], list[str]]:
    """Returns the drift of every arm, and the tasks that the means are over: those on which every arm has a drift.

    An arm without any model has none, and does not shorten the tasks of the others.
    """
    by_arm = {method: {task: _mean(data.mean_drift(task, method)) for task in data.tasks} for method in data.methods}
    there = [means for means in by_arm.values() if any(mean is not None for mean in means.values())]
    common = [task for task in data.tasks if there and all(means[task] is not None for means in there)]
    return [
        ArmDrift(
            arm_titles(data)[method],
            _mean(np.array([means[task] for task in common], dtype=float)) if common else None,
            {task_titles(data)[task]: mean for task, mean in means.items()},
            sum(len(data.drift(task, method)) for task in data.tasks),
            sum(len(data.planned(task, method)) for task in data.tasks),
        )
        for method, means in by_arm.items()
    ], [task_titles(data)[task] for task in common]


def above_seeds(data: ReportData) -> tuple[int, int]:
    """Counts the places (task, method, layer) whose mean drift is more than that between two seeds of the method, and those where both are known."""
    known = [counts for standing in standings(data) if (counts := standing.between_seeds) is not None]
    return sum(above for above, _ in known), sum(places for _, places in known)


def drift_tile(data: ReportData) -> Tile:
    """Returns the tile. Its verdict is whether the drift is more than the noise of extraction, and than what two seeds differ by."""
    study = data.results.study
    arms, common = arm_drifts(data)
    known = [(arm.mean, arm.arm) for arm in arms if arm.mean is not None]
    point = noise(data)
    chip, verdict = ("noise not measured", "open") if point.short == "Not known." else _CHIPS[point.state]
    above, places = above_seeds(data)
    if point.state == "yes" and places:
        chip, verdict = _SEEDS[above == places]
    over = "" if len(common) in (0, len(data.tasks)) else f" ({listed(common)} alone, where every method has models)"
    kind = f"{sentence_case(drift_definition(study, study.primary_measure))}, mean over tasks{over}, layers and models."
    if places:
        kind += f" It exceeds the drift between two seeds of one method in {above} of {places} places (task, method, layer)."
    others = [
        each for each in (between_seeds(data) if study.contrasted else None, random_change(data)) if each is not None
    ]
    details = [
        *(_arm_line(arm) for arm in arms),
        point.text,
        *(f"{each.question} {each.short} {each.text}" for each in others),
    ]
    if not known:
        return Tile(
            "drift",
            "Mean drift",
            NOT_KNOWN,
            chip,
            verdict,
            "No task has a drift of every method in every layer.",
            details,
        )
    (least, least_arm), (most, most_arm) = min(known), max(known)
    if len(known) == 1:
        return Tile("drift", f"Mean drift of {least_arm}", short_number(least), chip, verdict, kind, details)
    if len(known) <= _NAMED_ARMS:
        value = " / ".join(short_number(mean) for mean, _ in known)
        return Tile("drift", f"Mean drift, {' / '.join(arm for _, arm in known)}", value, chip, verdict, kind, details)
    value = f"{short_number(least)} to {short_number(most)}"
    line = f"From {least_arm} to {most_arm}, of {counted(len(known), 'method')}. {kind}"
    return Tile("drift", "Mean drift", value, chip, verdict, line, details)


def _arm_line(arm: ArmDrift) -> str:
    by_task = "; ".join(
        f"{task} {'missing' if mean is None else short_number(mean)}" for task, mean in arm.by_task.items()
    )
    there = "" if arm.models == arm.planned else f" ({arm.models} of {arm.planned} models)"
    return f"{arm.arm}{there}: {'no mean' if arm.mean is None else short_number(arm.mean)}; {by_task}."


def _mean(values: np.ndarray) -> float | None:
    """The mean; None if a value is missing, since a mean over fewer would not be comparable."""
    return float(values.mean()) if values.size and np.isfinite(values).all() else None
