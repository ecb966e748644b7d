"""The drifts of the two methods' trained models, by task: the units of every comparison."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from repdrift.core.words import method_title, task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.statistics import calibration_limit

Floats = NDArray[np.floating]
MethodRole = Literal["reference", "comparison"]
METHOD_ROLES: tuple[MethodRole, ...] = ("reference", "comparison")
_UNEVEN = 2.5
"""Spreads that differ by a smaller factor move the error rates by a point or two."""


NO_LOGARITHM = "but for rounding, the drift of some model is not above 0, so it has no logarithm"
"""Why a statistic of log drift does not exist, as a clause."""


@dataclass(frozen=True)
class PairedDifferences:
    """Comparison minus reference for each seed, with the task of each."""

    differences: Floats
    tasks: list[str]


@dataclass(frozen=True)
class TestedDrifts:
    """Drifts of the comparison and the scaled reference method, or their logarithms, as they are tested."""

    comparison: Floats
    reference: Floats


@dataclass(frozen=True)
class LayerDrifts:
    """Drifts of trained models by layer, (models, layers), with the task of each model."""

    drifts: Floats
    tasks: list[str]


@dataclass(frozen=True)
class ComparedTasks:
    """The tasks on which methods can be compared, in the study's order. warnings: sentences on tasks and on numbers of models."""

    names: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class MethodDrifts:
    """The drift of each trained model with its task and seed: m models of the reference, k of the comparison method.

    untestable: the reason, as a clause, why a comparison of these models says nothing of the methods; None: it does.
    """

    reference: Floats
    comparison: Floats
    reference_tasks: list[str]
    comparison_tasks: list[str]
    reference_seeds: list[int] = field(default_factory=list)
    comparison_seeds: list[int] = field(default_factory=list)
    untestable: str | None = None

    @property
    def strata(self) -> list[str]:
        """The task of each model, those of the comparison method first."""
        return [*self.comparison_tasks, *self.reference_tasks]

    @property
    def reference_first(self) -> list[str]:
        """The task of each model, those of the reference method first."""
        return [*self.reference_tasks, *self.comparison_tasks]

    def tasks_of(self, role: MethodRole) -> list[str]:
        """The task of each model in one role."""
        return self.reference_tasks if role == "reference" else self.comparison_tasks

    @property
    def tasks(self) -> list[str]:
        """Each task once, in the order of the models."""
        return list(dict.fromkeys(self.reference_tasks))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The numbers of models of the comparison and of the reference method, for every task."""
        return [(self.comparison_tasks.count(t), self.reference_tasks.count(t)) for t in self.tasks]

    @property
    def balanced(self) -> bool:
        """True if every task has as many models of one method as of the other."""
        return all(m == k for m, k in self.sizes)

    @property
    def studentised(self) -> bool:
        """True if tests weigh a difference by the spread within methods: for unequal numbers, and two models or more in each cell."""
        return not self.balanced and min(min(pair) for pair in self.sizes) > 1

    @property
    def logarithm(self) -> bool:
        """True if tests are of log drift, in which a method's share of another's drift is a shift: every drift is above 0, rounding apart."""
        return bool(min(self.reference.min(), self.comparison.min()) > ZERO_DRIFT)

    @property
    def geometric_reduction(self) -> float | None:
        """The reduction of geometric mean drifts, which tests of log drift are about; None without a logarithm."""
        if not self.logarithm:
            return None
        means = (
            _task_mean(np.log(self.comparison), self.comparison_tasks),
            _task_mean(np.log(self.reference), self.reference_tasks),
        )
        return -math.expm1(means[0] - means[1])

    def tested(self, margin: float) -> TestedDrifts:
        """The values whose labels are permuted to test whether the reduction exceeds `margin`: of log drift where there is one.

        Drifts that are rounding count as 0, so that a test does not rank the rounding of models that did not move.
        """
        if self.logarithm:
            return TestedDrifts(np.log(self.comparison), np.log((1 - margin) * self.reference))
        return TestedDrifts(without_rounding(self.comparison), (1 - margin) * without_rounding(self.reference))

    @property
    def reference_mean(self) -> float:
        """The mean over tasks of the mean over models, so that a task with more seeds does not count for more."""
        return _task_mean(self.reference, self.reference_tasks)

    @property
    def comparison_mean(self) -> float:
        """The mean over tasks of the mean over models, of the comparison method."""
        return _task_mean(self.comparison, self.comparison_tasks)

    def paired_differences(self, margin: float) -> PairedDifferences | None:
        """Returns comparison minus reference of `tested` for every seed; None unless every seed was trained under both methods."""
        values = self.tested(margin)
        ours = dict(zip(zip(self.comparison_tasks, self.comparison_seeds, strict=True), values.comparison, strict=True))
        theirs = dict(zip(zip(self.reference_tasks, self.reference_seeds, strict=True), values.reference, strict=True))
        if not ours or ours.keys() != theirs.keys():
            return None
        return PairedDifferences(np.array([ours[key] - theirs[key] for key in ours]), [task for task, _ in ours])


def without_rounding(drifts: Floats) -> Floats:
    """Returns the drifts, with 0 in the place of those that are no more than rounding."""
    return np.where(np.abs(drifts) <= ZERO_DRIFT, 0.0, drifts)


def compared_tasks(primary: pd.DataFrame, plan: DriftPlan) -> ComparedTasks:
    """Returns the tasks that have final models of both methods."""
    names: list[str] = []
    warnings: list[str] = []
    for task in plan.tasks:
        here = primary[primary["task"] == task]
        counts = {
            m: int(here[here["method"] == m]["seed"].nunique()) for m in (plan.reference_method, plan.comparison_method)
        }
        absent = [method_title(method) for method, count in counts.items() if count == 0]
        if absent:
            if len(here):
                which = "every comparison of methods"
                if plan.several_arms and counts[plan.reference_method]:
                    which = f"the comparison of {absent[0]} with {method_title(plan.reference_method)}"
                elif plan.several_arms:
                    absent = absent[:1]  # the reference; that a method lacks it too changes nothing
                warnings.append(
                    f"Task {task_title(task)} has no {' and no '.join(absent)} run. It is left out of {which}."
                )
            continue
        names.append(task)
        warnings += _about_numbers(task, counts, plan)
    return ComparedTasks(names, warnings)


def _about_numbers(task: str, counts: dict[str, int], plan: DriftPlan) -> list[str]:
    title = task_title(task)
    if set(counts.values()) == {1}:
        return [
            f"Task {title} has one model of each method. How much seeds differ there is not known, and nothing can be tested on it alone."
        ]
    if len(set(counts.values())) == 1:
        return []
    named = ", ".join(f"{count} of {method_title(method)}" for method, count in counts.items())
    limit = calibration_limit([(counts[plan.comparison_method], counts[plan.reference_method])])
    how = (
        "The permutation test weighs its difference by the spread within the methods."
        if min(counts.values()) > 1
        else "No permutation test with this task can weigh differences by the spread within the methods."
    )
    after = f" {limit[0].upper()}{limit[1:].rstrip('.')}." if limit else ""
    return [f"Task {title} has unequal numbers of trained models ({named}). {how}{after}"]


def uneven_spread(drifts: MethodDrifts, plan: DriftPlan) -> str | None:
    """Returns a warning if the models of one method visibly spread more than those of the other, relative to their mean.

    Visibly means that the standard deviations of log drift within tasks differ by more than 2.5 to 1, and by more than chance (F
    test, 0.05, two-sided). The tests assume equal spreads.
    """
    if not drifts.logarithm:
        return None
    reference, comparison = (_log_spread(drifts, role) for role in METHOD_ROLES)
    if min(reference.freedom, comparison.freedom) < 1 or min(reference.squares, comparison.squares) <= 0:
        return None
    k, m = comparison.freedom, reference.freedom
    ratio = (comparison.squares / k) / (reference.squares / m)
    chance = 2 * min(f_distribution.sf(ratio, k, m), f_distribution.sf(1 / ratio, m, k))
    factor = max(ratio, 1 / ratio) ** 0.5
    if factor <= _UNEVEN or chance > 0.05:
        return None
    methods = plan.comparison_method, plan.reference_method
    wide, narrow = (method_title(method) for method in (methods if ratio > 1 else methods[::-1]))
    return (
        f"Models of {wide} spread {factor:.1f} times as much as those of {narrow} (standard deviation of log drift between seeds). The "
        f"tests of log drift assume equal spreads: at three to one they reject a true null in up to {_at_three_to_one(drifts)} of studies at "
        "alpha 0.05, and in some of twelve layers in up to 12 % (docs/explanation/calibration.md). The intervals over models do not assume it."
    )


def _at_three_to_one(drifts: MethodDrifts) -> str:
    limit = re.search(r"up to (\d+ %)", calibration_limit(drifts.sizes) or "")
    return limit[1] if limit else "7.5 %"


@dataclass(frozen=True)
class _LogSpread:
    """The sum of squared deviations of log drifts within tasks, with its degrees of freedom."""

    squares: float
    freedom: int


def _log_spread(drifts: MethodDrifts, role: MethodRole) -> _LogSpread:
    values = drifts.reference if role == "reference" else drifts.comparison
    labels = np.array(drifts.tasks_of(role))
    parts = [np.log(values[labels == task]) for task in drifts.tasks]
    squares = float(sum(np.square(part - part.mean()).sum() for part in parts))
    return _LogSpread(squares, sum(part.size - 1 for part in parts))


def method_drifts(frame: pd.DataFrame, plan: DriftPlan, untestable: str | None = None) -> MethodDrifts:
    """Returns the drifts in a frame with a row for each trained model: task, method, seed and drift."""
    reference = frame[frame["method"] == plan.reference_method]
    comparison = frame[frame["method"] == plan.comparison_method]
    return MethodDrifts(
        reference["drift"].to_numpy(dtype=float),
        comparison["drift"].to_numpy(dtype=float),
        [str(t) for t in reference["task"]],
        [str(t) for t in comparison["task"]],
        [int(s) for s in reference["seed"]],
        [int(s) for s in comparison["seed"]],
        untestable,
    )


def by_model(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the mean drift over layers of every trained model, one row each."""
    return frame.groupby(["task", "method", "seed"], sort=False)["drift"].mean().reset_index()


def layer_drifts(frame: pd.DataFrame, method: str, layers: Sequence[int]) -> LayerDrifts:
    """Returns the drifts of one method's final models by layer, models in the order in which they appear."""
    here = frame[frame["method"] == method]
    wide = here.pivot_table(index=["task", "seed"], columns="layer", values="drift", sort=False)[list(layers)]
    wide = wide.loc[pd.MultiIndex.from_frame(here[["task", "seed"]].drop_duplicates())]
    return LayerDrifts(wide.to_numpy(dtype=float), [str(task) for task, _ in wide.index])


def _task_mean(values: Floats, tasks: Sequence[str]) -> float:
    labels = np.array(tasks)
    return float(np.mean([values[labels == task].mean() for task in dict.fromkeys(tasks)]))
