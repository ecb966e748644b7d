"""Rows of the page's tables of drifts, controls and checks. A missing number is None."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.equal_skill import SkillRun, SkillScore
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.study_info import SanityCheck
from repdrift.report.report_data import ReportData

_CHECK_WORDS = {True: "passed", False: "failed", None: "not possible"}


@dataclass(frozen=True)
class MeasureRow:
    """Drift under one measure: a mean over layers and seeds for every group. drift_is: the definition of drift."""

    name: str
    drift_is: str
    means: list[float | None]


@dataclass(frozen=True)
class ControlRow:
    """Smallest and largest drift over the layers, for the models of a task and for each of its controls."""

    task: str
    noise: tuple[float, float] | None
    drift: tuple[float, float] | None
    between_seeds: tuple[float, float] | None
    random_change: tuple[float, float] | None
    mispaired: tuple[float, float] | None


@dataclass(frozen=True)
class Standing:
    """The number of layers in which the mean drift of a task and method lies on the expected side of each control."""

    task: str
    method: str
    counts: list[tuple[int, int] | None]
    """Layers on the expected side, and layers in all; None if there is no such control. The controls: above the noise, above the
    drift between seeds, above the random change, below mispaired samples."""

    @property
    def between_seeds(self) -> tuple[int, int] | None:
        """The layers above the drift between two seeds, and those where both are known; None if the control is missing."""
        return self.counts[1]


def groups(data: ReportData) -> list[tuple[str, str]]:
    """The task and method of every column."""
    return [(task, method) for task in data.tasks for method in data.methods]


def model_counts(data: ReportData) -> list[tuple[int, int]]:
    """The number of trained models that are there, and of those that were planned, for every group."""
    return [(len(data.drift(task, method)), len(data.planned(task, method))) for task, method in groups(data)]


def by_measure(data: ReportData) -> list[MeasureRow]:
    """Mean drifts with a row for every measure."""
    return [
        MeasureRow(
            measure,
            drift_definition(data.results.study, measure),
            [_mean(data.mean_drift(task, method, measure)) for task, method in groups(data)],
        )
        for measure in data.drift_measures
    ]


def by_layer(data: ReportData) -> list[tuple[int, list[float | None]]]:
    """Mean drifts with a row for every layer and a value for every group."""
    columns = [data.mean_drift(task, method) for task, method in groups(data)]
    return [(layer, [_known(column[position]) for column in columns]) for position, layer in enumerate(data.layers)]


def controls(data: ReportData) -> list[ControlRow]:
    """The ranges of the controls, with a row for every task."""
    return [
        ControlRow(
            task,
            _range(data.control_drift("identity", task)),
            _range(np.concatenate([data.mean_drift(task, method) for method in data.methods])),
            _range(np.concatenate([data.control_drift("seed_ceiling", task, method) for method in data.methods])),
            _range(np.concatenate([data.control_drift("random_change", task, method) for method in data.methods])),
            _range(data.control_drift("mispaired", task)),
        )
        for task in data.tasks
    ]


def standings(data: ReportData) -> list[Standing]:
    """The standings, with a row for every task and method that has a drift."""
    rows: list[Standing] = []
    for task, method in groups(data):
        drift = data.mean_drift(task, method)
        if np.isfinite(drift).any():
            floors = (
                np.abs(data.control_drift("identity", task)),
                data.control_drift("seed_ceiling", task, method),
                data.control_drift("random_change", task, method),
            )
            gaps = [drift - floor for floor in floors] + [data.control_drift("mispaired", task, method) - drift]
            rows.append(Standing(task, method, [_positive(gap) for gap in gaps]))
    return rows


def failed_checks(data: ReportData) -> list[str]:
    """Names of the sanity checks that failed."""
    return [check.name for check in data.results.sanity if check.passed is False]


def checks(data: ReportData) -> list[tuple[SanityCheck, str]]:
    """Every sanity check with its outcome in words."""
    return [(check, _CHECK_WORDS[check.passed]) for check in data.results.sanity]


def uncompared(data: ReportData) -> list[str]:
    """Tasks that no comparison of methods covers."""
    return [task for task in data.tasks if task not in data.compared_tasks()]


def metric_names(data: ReportData) -> list[str]:
    """The names of all scores, in the order in which they first appear. The loss on training data is not a score."""
    return list(dict.fromkeys(name for run in data.results.runs for name in run.metrics if name != "train_loss"))


def skill_runs(data: ReportData) -> list[tuple[SkillRun, SkillScore]]:
    """Every run with the score at which it is read, once; a reference run has one row for each score that methods are compared at."""
    found = [
        (run, score)
        for each in data.results.equal_skill
        if each.task != ALL_TASKS
        for score in each.scores
        for run in each.runs
    ]
    shown = [(run, score.score) for run, score in found]
    return [pair for position, pair in enumerate(found) if shown[position] not in shown[:position]]


def _mean(values: np.ndarray) -> float | None:
    """Mean over layers; None if a layer is missing, since a mean over fewer layers would not be comparable."""
    return float(values.mean()) if values.size and np.isfinite(values).all() else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _positive(gaps: np.ndarray) -> tuple[int, int] | None:
    known = gaps[np.isfinite(gaps)]
    return (int((known > 0).sum()), len(known)) if known.size else None


def _range(values: np.ndarray) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else None
