"""The results of an earlier study as a pilot: the drift of every trained model, and how much seeds differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.core.records.claims import Reduction
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.words import listed, method_title, task_title
from repdrift.drift.control_conditions import ZERO_DRIFT


@dataclass(frozen=True)
class Pilot:
    """The drift of every trained model of a pilot, on one task, on all tasks together, or in one layer over the tasks.

    reference, comparison: one drift for each model. strata: the task of each model, reference first. missing: why nothing
    can be planned from these drifts; None if something can. left_out: the models without a drift.
    method: the one that is compared with the reference, where there are several; else None.
    """

    where: str
    tasks: tuple[str, ...]
    reference: tuple[float, ...]
    comparison: tuple[float, ...]
    strata: tuple[str, ...]
    missing: str | None = None
    left_out: tuple[str, ...] = ()
    method: str | None = None

    @property
    def arm(self) -> str:
        """The method that is compared with the reference, as the beginning of a heading; empty if there is one only."""
        return "" if self.method is None else f"{method_title(self.method)}, "

    @property
    def title(self) -> str:
        """The task, layer or all tasks together, as a heading."""
        return self.arm + ("all tasks together" if self.where == ALL_TASKS else task_title(self.where))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Models of the reference and of the comparison method, for every task."""
        split = len(self.reference)
        return [(self.strata[:split].count(task), self.strata[split:].count(task)) for task in self.tasks]

    @property
    def seeds(self) -> int:
        """Models of each method in each task; the smallest number where they differ."""
        return min(min(pair) for pair in self.sizes)


@dataclass(frozen=True)
class LayerPilots:
    """The pilots of chosen layers. notes: sentences on the layers that cannot be planned for."""

    pilots: list[Pilot]
    notes: list[str]


def pilots(results: DriftResults, tasks: Sequence[str] | None = None) -> list[Pilot]:
    """Returns the pilot of each task, and of all tasks together if there are several, from drifts averaged over layers.

    tasks: the tasks to plan for; None or ["all"] means the study's. A task without models of both methods is listed with
    the reason and is no part of "all", as in the analysis. Raises UnknownNameError for a task that the study does not have.
    """
    names = chosen_tasks(results, tasks)
    single = [_pilot(results, task, [task], None) for task in names]
    together = [pilot.tasks[0] for pilot in single if pilot.tasks]
    return [*single, _pilot(results, ALL_TASKS, together, None)] if len(together) > 1 else single


def layer_pilots(results: DriftResults, tasks: Sequence[str] | None = None) -> LayerPilots:
    """Returns the pilots of the layers with the median and the largest spread between seeds, over all chosen tasks together.

    The spread of a layer is the root mean square over tasks of the standard deviation of log drift within methods.
    Raises DataError if no layer can be planned for.
    """
    names = [pilot.tasks[0] for pilot in pilots(results, tasks) if len(pilot.tasks) == 1]
    layers = sorted({r.layer for r in results.reductions if r.layer is not None})
    every = [(layer, _pilot(results, f"layer {layer}", names, layer)) for layer in layers] if names else []
    by_spread = sorted((_rms_spread(pilot), layer, pilot) for layer, pilot in every if pilot.missing is None)
    if not by_spread:
        reasons = "; ".join(dict.fromkeys(p.missing for _, p in every if p.missing)) or "the results have no layers"
        raise DataError(f"no layer can be planned for: {reasons}. Leave --layers out to plan for the mean over layers")
    absent = [f"Layer {layer} cannot be planned for: {p.missing}." for layer, p in every if p.missing is not None]
    middle, last = by_spread[(len(by_spread) - 1) // 2][2], by_spread[-1][2]
    chosen = [replace(middle, where=f"{middle.where}, of median spread")]
    if last is not middle:
        chosen.append(replace(last, where=f"{last.where}, of largest spread"))
    return LayerPilots(chosen, absent)


def chosen_tasks(results: DriftResults, tasks: Sequence[str] | None) -> list[str]:
    """Returns the tasks to plan for, in the study's order. None or ["all"] means all; raises UnknownNameError for others."""
    if not tasks or list(tasks) == [ALL_TASKS]:
        return list(results.study.tasks)
    for name in tasks:
        if name not in results.study.tasks:
            raise UnknownNameError.of("task of these results", name, results.study.tasks)
    return [task for task in results.study.tasks if task in tasks]


def _pilot(results: DriftResults, where: str, tasks: Sequence[str], layer: int | None) -> Pilot:
    study = results.study
    found = {r.task: r for r in results.reductions if r.layer == layer}
    absent = [task for task in tasks if task not in found]
    if absent:
        both = f"{method_title(study.reference_method)} and {method_title(study.comparison_method)}"
        reason = f"the pilot has no models of both {both} on {listed([task_title(task) for task in absent])}"
        return Pilot(where, (), (), (), (), missing=reason)
    sides: list[list[tuple[str, float]]] = [[], []]
    left_out: list[str] = []
    for task in tasks:
        for method, values, side in zip(
            (study.reference_method, study.comparison_method), _by_seed(found[task]), sides, strict=True
        ):
            side += [(task, value) for value in values.values() if value is not None]
            left_out += [f"{task}, {method}, seed {seed}" for seed, value in values.items() if value is None]
    pilot = Pilot(
        where=where,
        tasks=tuple(tasks),
        reference=tuple(value for _, value in sides[0]),
        comparison=tuple(value for _, value in sides[1]),
        strata=tuple(task for side in sides for task, _ in side),
        left_out=tuple(left_out),
    )
    return replace(pilot, missing=_too_little(pilot))


def _by_seed(reduction: Reduction) -> tuple[dict[str, float | None], dict[str, float | None]]:
    return reduction.reference_by_seed, reduction.comparison_by_seed


def _too_little(pilot: Pilot) -> str | None:
    """Says why a pilot shows no spread between seeds; None if it shows one."""
    for task, (m, k) in zip(pilot.tasks, pilot.sizes, strict=True):
        if min(m, k) == 0:
            return f"the pilot has no drift of one of the methods on {task_title(task)}"
        if m + k < 4:  # one degree of freedom leaves a spread of 0.4 to 30 times the estimate
            return f"the pilot has {m} and {k} models of the methods on {task_title(task)}, too few to tell how far seeds differ"
        drifts = _of_task(pilot, task)
        if min(values.min() for values in drifts) <= ZERO_DRIFT:
            return (
                f"the pilot has a drift on {task_title(task)} that is not above 0, and the spread is taken of log drift"
            )
        if all(np.ptp(values) == 0 for values in drifts):
            return f"the pilot's drifts on {task_title(task)} are the same for every seed"
    return None


def _of_task(pilot: Pilot, task: str) -> list[np.ndarray]:
    split = len(pilot.reference)
    sides = ((pilot.reference, pilot.strata[:split]), (pilot.comparison, pilot.strata[split:]))
    return [np.array([v for v, t in zip(values, labels, strict=True) if t == task]) for values, labels in sides]


def _rms_spread(pilot: Pilot) -> float:
    variances: list[float] = []
    for task in pilot.tasks:
        logs = [np.log(values) for values in _of_task(pilot, task)]
        squares = sum(float(np.square(x - x.mean()).sum()) for x in logs)
        variances.append(squares / (sum(x.size for x in logs) - 2))
    return math.sqrt(float(np.mean(variances)))
