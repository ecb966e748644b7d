"""The rows of the page's tables. None where a number is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repdrift.core.records.results import HypothesisTest, Reduction, SanityCheck
from repdrift.report.tables import ReportData
from repdrift.report.wording import ALL_TASKS, HYPOTHESES, claim, drift_definition

_CHECK_WORDS = {True: "passed", False: "failed", None: "not possible"}


@dataclass(frozen=True)
class MeasureRow:
    """Drift under one measure, mean over layers and seeds, a value a group; `drift_is`: how it is defined."""

    name: str
    drift_is: str
    means: list[float | None]


@dataclass(frozen=True)
class LayerTest:
    """One layer over all tasks: its reduction and its test."""

    test: HypothesisTest
    reduction: Reduction | None


@dataclass(frozen=True)
class ControlRow:
    """Smallest and largest drift of a task's controls over the layers; the mean drift beside them."""

    task: str
    noise: tuple[float, float] | None
    drift: tuple[float, float] | None
    between_seeds: tuple[float, float] | None
    mispaired: tuple[float, float] | None


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


def layer_tests(data: ReportData) -> list[tuple[str, list[LayerTest]]]:
    """For each claim its tests by layer."""
    target = data.results.study.target_reduction
    tables = [
        (claim(name, target), [LayerTest(t, data.reduction(ALL_TASKS, t.layer)) for t in data.layer_tests(name)])
        for name in HYPOTHESES
    ]
    return [(title, rows) for title, rows in tables if rows]


def controls(data: ReportData) -> list[ControlRow]:
    """A row a task."""
    return [
        ControlRow(
            task,
            _range(data.control_drift("identity", task)),
            _range(np.concatenate([data.mean_drift(task, method) for method in data.methods])),
            _range(np.concatenate([data.control_drift("seed_ceiling", task, method) for method in data.methods])),
            _range(data.control_drift("mispaired", task)),
        )
        for task in data.tasks
    ]


def checks(data: ReportData) -> list[tuple[SanityCheck, str]]:
    """Every sanity check with its outcome in words."""
    return [(check, _CHECK_WORDS[check.passed]) for check in data.results.sanity]


def uncompared(data: ReportData) -> list[str]:
    """Tasks that no comparison of methods speaks of."""
    return [task for task in data.tasks if task not in data.compared_tasks()]


def checkpoints(data: ReportData) -> list[int]:
    """Steps before the final model that the table holds; no figure or test uses them."""
    return sorted(int(step) for step in data.table["step"].unique() if step != 0)


def metric_names(data: ReportData) -> list[str]:
    """Every score that some run has, in the order in which they first appear; the loss on training data is none."""
    return list(dict.fromkeys(name for run in data.results.runs for name in run.metrics if name != "train_loss"))


def _mean(values: np.ndarray) -> float | None:
    """Mean over layers; None if a layer is missing, as the mean of the others would be of something else."""
    return float(values.mean()) if values.size and np.isfinite(values).all() else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _range(values: np.ndarray) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else None
