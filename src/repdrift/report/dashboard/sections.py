"""The rows of the page's tables. None where a number is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repdrift.core.records.results import SanityCheck
from repdrift.report.report_data import ReportData
from repdrift.report.wording import drift_definition

_CHECK_WORDS = {True: "passed", False: "failed", None: "not possible"}


@dataclass(frozen=True)
class MeasureRow:
    """Drift under one measure, mean over layers and seeds, a value a group; `drift_is`: how it is defined."""

    name: str
    drift_is: str
    means: list[float | None]


@dataclass(frozen=True)
class ControlRow:
    """Smallest and largest drift of a task's controls over the layers; the mean drift beside them."""

    task: str
    noise: tuple[float, float] | None
    drift: tuple[float, float] | None
    between_seeds: tuple[float, float] | None
    random_change: tuple[float, float] | None
    mispaired: tuple[float, float] | None


@dataclass(frozen=True)
class Standing:
    """In how many layers the mean drift of a task and method lies on the expected side of a control; None: not at hand."""

    task: str
    method: str
    counts: list[tuple[int, int] | None]
    """Above the noise, above the drift between seeds, above the random change, below mispaired samples: so many of so many."""


def groups(data: ReportData) -> list[tuple[str, str]]:
    """Task and method of every column."""
    return [(task, method) for task in data.tasks for method in data.methods]


def model_counts(data: ReportData) -> list[tuple[int, int]]:
    """Trained models at hand and planned, of every group."""
    return [(len(data.drift(task, method)), len(data.planned(task, method))) for task, method in groups(data)]


def by_measure(data: ReportData) -> list[MeasureRow]:
    """A row a measure: there may be many of them, and they grow downward."""
    return [
        MeasureRow(
            measure,
            drift_definition(data.results.study, measure),
            [_mean(data.mean_drift(task, method, measure)) for task, method in groups(data)],
        )
        for measure in data.drift_measures
    ]


def by_layer(data: ReportData) -> list[tuple[int, list[float | None]]]:
    """A row a layer, a value a group."""
    columns = [data.mean_drift(task, method) for task, method in groups(data)]
    return [(layer, [_known(column[place]) for column in columns]) for place, layer in enumerate(data.layers)]


def controls(data: ReportData) -> list[ControlRow]:
    """A row a task."""
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
    """A row a task and method that has a drift."""
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
    """Tasks that no comparison of methods speaks of."""
    return [task for task in data.tasks if task not in data.compared_tasks()]


def metric_names(data: ReportData) -> list[str]:
    """Every score that some run has, in the order in which they first appear; the loss on training data is none."""
    return list(dict.fromkeys(name for run in data.results.runs for name in run.metrics if name != "train_loss"))


def _mean(values: np.ndarray) -> float | None:
    """Mean over layers; None if a layer is missing, as the mean of the others would be of something else."""
    return float(values.mean()) if values.size and np.isfinite(values).all() else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _positive(gaps: np.ndarray) -> tuple[int, int] | None:
    known = gaps[np.isfinite(gaps)]
    return (int((known > 0).sum()), len(known)) if known.size else None


def _range(values: np.ndarray) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else None
