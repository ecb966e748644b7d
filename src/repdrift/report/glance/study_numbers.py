"""Numbers of the final models of one task and method: drift with its spread over seeds, score, and what was forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ArmOutcome
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import score_number
from repdrift.report.report_data import ReportData

FORGETTING = "forgetting"


@dataclass(frozen=True)
class ArmModels:
    """The final models of one task and method. drift: mean over layers, then over seeds; None if a layer of a model has no value.

    spread: the standard deviation over seeds; None with one seed. by_layer: mean over seeds; None where there is no value.
    """

    seeds: Sequence[int]
    drift: float | None
    spread: float | None
    by_layer: Sequence[float | None]


@dataclass(frozen=True)
class Score:
    """The primary score of the final models of one task and method. spread: the standard deviation over seeds; None with one seed."""

    metric: str
    mean: float
    spread: float | None
    n_models: int

    @property
    def text(self) -> str:
        """The mean as scores are written."""
        return score_number(self.mean)


def models_of(data: ReportData, task: str, method: str, measure: str | None = None) -> ArmModels:
    """Returns the drifts of the final models of one task and method. measure: None for the primary one."""
    frame = data.drift(task, method, measure)
    by_layer = [None if np.isnan(value) else float(value) for value in frame.mean(axis=0).to_numpy(dtype=float)]
    each = frame.mean(axis=1, skipna=False).dropna().to_numpy(dtype=float)
    whole = bool(len(each)) and len(each) == len(frame)
    return ArmModels(
        seeds=[int(seed) for seed in frame.index],
        drift=float(each.mean()) if whole else None,
        spread=float(each.std(ddof=1)) if whole and len(each) > 1 else None,
        by_layer=by_layer,
    )


def final_score(data: ReportData, task: str, method: str) -> Score | None:
    """Returns the primary score of the final models that are there; None if they have none, or not the same one."""
    runs = [run for run in data.planned(task, method) if run.status == "ok"]
    metrics = {metric for run in runs for metric, _ in [_scored(run)] if metric}
    values = [value for run in runs for _, value in [_scored(run)] if value is not None]
    if len(metrics) != 1 or not values:
        return None
    found = np.asarray(values, dtype=float)
    return Score(metrics.pop(), float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else None, len(found))


def _scored(run: RunStatus) -> tuple[str, float | None]:
    """The primary score of a run by name; older files do not say which one is, and have it first."""
    if run.learnt is not None:
        return run.learnt.metric, run.learnt.score
    return next(((n, v) for n, v in run.metrics.items() if n != "train_loss" and v is not None), ("", None))


def forgetting_of(data: ReportData, task: str, method: str) -> ArmOutcome | None:
    """Returns the rise of the loss on general text, of the final models of one task and method; None if it was not measured."""
    outcomes = data.results.outcomes
    if outcomes is None:
        return None
    wanted = (task, method, 0, FORGETTING, ON_GENERAL_TEXT)
    return next((a for a in outcomes.arms if (a.task, a.method, a.step, a.outcome, a.inputs) == wanted), None)


def not_learnt_of(data: ReportData, task: str, method: str) -> list[RunStatus]:
    """Returns the final models that have not learnt their task."""
    runs = [run for run in data.planned(task, method) if run.status == "ok"]
    return [run for run in runs if run.learnt is not None and run.learnt.learnt is False]
