"""The drifts of the two methods' trained models, by task: the units of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from repdrift.drift.analysis_plan import DriftPlan
from repdrift.statistics import calibration_limit

Floats = NDArray[np.floating]
MethodRole = Literal["reference", "comparison"]
METHOD_ROLES: tuple[MethodRole, ...] = ("reference", "comparison")
_UNEVEN = 2.5
"""Spreads that differ by less move the error rates by a point or two."""


@dataclass(frozen=True)
class MethodDrifts:
    """Drift of each trained model, with task and seed: (m,) of the reference, (k,) of the comparison method."""

    reference: Floats
    comparison: Floats
    reference_tasks: list[str]
    comparison_tasks: list[str]
    reference_seeds: list[int] = field(default_factory=list)
    comparison_seeds: list[int] = field(default_factory=list)

    @property
    def strata(self) -> list[str]:
        """Tasks of the comparison's values, then of the reference's."""
        return [*self.comparison_tasks, *self.reference_tasks]

    @property
    def reference_first(self) -> list[str]:
        """Tasks of the reference's values, then of the comparison's."""
        return [*self.reference_tasks, *self.comparison_tasks]

    def tasks_of(self, role: MethodRole) -> list[str]:
        """The task of each model in one role."""
        return self.reference_tasks if role == "reference" else self.comparison_tasks

    @property
    def tasks(self) -> list[str]:
        """Each task once, in order."""
        return list(dict.fromkeys(self.reference_tasks))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(models of the comparison, models of the reference) of every task."""
        return [(self.comparison_tasks.count(t), self.reference_tasks.count(t)) for t in self.tasks]

    @property
    def balanced(self) -> bool:
        """Whether every task has as many models of the one as of the other."""
        return all(m == k for m, k in self.sizes)

    @property
    def studentised(self) -> bool:
        """Whether tests of differences weigh them by the spread within methods: unequal numbers, and no model alone in its cell."""
        return not self.balanced and min(min(pair) for pair in self.sizes) > 1

    @property
    def reference_mean(self) -> float:
        """Mean over tasks of the mean over models, so that a task with more seeds does not count for more."""
        return _task_mean(self.reference, self.reference_tasks)

    @property
    def comparison_mean(self) -> float:
        """The same of the comparison method."""
        return _task_mean(self.comparison, self.comparison_tasks)

    def paired_differences(self) -> tuple[Floats, list[str]] | None:
        """Comparison minus reference of every seed, and its task; None unless every seed was trained under both methods."""
        ours = dict(zip(zip(self.comparison_tasks, self.comparison_seeds, strict=True), self.comparison, strict=True))
        theirs = dict(zip(zip(self.reference_tasks, self.reference_seeds, strict=True), self.reference, strict=True))
        if not ours or ours.keys() != theirs.keys():
            return None
        return np.array([ours[key] - theirs[key] for key in ours]), [task for task, _ in ours]


def pairable_tasks(primary: pd.DataFrame, plan: DriftPlan) -> tuple[list[str], list[str]]:
    """Tasks with final models of both methods, in the study's order, and what is to be said of the others."""
    pairable: list[str] = []
    warnings: list[str] = []
    for task in plan.tasks:
        here = primary[primary["task"] == task]
        counts = {
            m: int(here[here["method"] == m]["seed"].nunique()) for m in (plan.reference_method, plan.comparison_method)
        }
        absent = [method for method, count in counts.items() if count == 0]
        if absent:
            if len(here):
                warnings.append(
                    f"Task {task} has no {' and no '.join(absent)} run: it is left out of every comparison of methods."
                )
            continue
        if len(set(counts.values())) > 1:
            named = ", ".join(f"{count} of {method}" for method, count in counts.items())
            limit = calibration_limit([(counts[plan.comparison_method], counts[plan.reference_method])])
            how = (
                "the permutation test weighs its difference by the spread within the methods"
                if min(counts.values()) > 1
                else "no permutation test that it is part of can weigh differences by the spread within the methods"
            )
            warnings.append(
                f"Task {task} has unequal numbers of trained models ({named}): {how}."
                + (f" {limit[0].upper()}{limit[1:].rstrip('.')}." if limit else "")
            )
        if set(counts.values()) == {1}:
            warnings.append(
                f"Task {task} has one model of each method: how much seeds differ there is not known, and nothing can be tested on it alone."
            )
        pairable.append(task)
    return pairable, warnings


def uneven_spread(drifts: MethodDrifts, plan: DriftPlan) -> str | None:
    """A sentence where models of one method visibly spread more than those of the other, relative to their mean; else None.

    Visibly: log drifts within tasks differ in standard deviation by more than 2.5 to 1, and by more than chance (F test,
    0.05, two-sided). The tests assume like spreads.
    """
    if min(drifts.reference.min(), drifts.comparison.min()) <= 0:
        return None
    squares: dict[MethodRole, tuple[float, int]] = {}
    for role in METHOD_ROLES:
        values = drifts.reference if role == "reference" else drifts.comparison
        labels = np.array(drifts.tasks_of(role))
        parts = [np.log(values[labels == task]) for task in drifts.tasks]
        squares[role] = (
            float(sum(np.square(part - part.mean()).sum() for part in parts)),
            sum(part.size - 1 for part in parts),
        )
    (of_reference, m), (of_comparison, k) = squares["reference"], squares["comparison"]
    if min(m, k) < 1 or min(of_reference, of_comparison) <= 0:
        return None
    ratio = (of_comparison / k) / (of_reference / m)
    chance = 2 * min(f_distribution.sf(ratio, k, m), f_distribution.sf(1 / ratio, m, k))
    factor = max(ratio, 1 / ratio) ** 0.5
    if factor <= _UNEVEN or chance > 0.05:
        return None
    wide, narrow = (plan.comparison_method, plan.reference_method)[:: 1 if ratio > 1 else -1]
    return (
        f"Models of {wide} spread {factor:.1f} times as much as those of {narrow} (standard deviation of log drift between seeds). The "
        "tests of a difference assume like spreads: at three to one they reject a true null in up to 14 % of studies at alpha 0.05 "
        "(docs/calibration.md). The intervals over models do not assume it."
    )


def method_drifts(frame: pd.DataFrame, plan: DriftPlan) -> MethodDrifts:
    """The drifts of a frame with one row a trained model: its task, method, seed and drift."""
    reference = frame[frame["method"] == plan.reference_method]
    comparison = frame[frame["method"] == plan.comparison_method]
    return MethodDrifts(
        reference["drift"].to_numpy(dtype=float),
        comparison["drift"].to_numpy(dtype=float),
        [str(t) for t in reference["task"]],
        [str(t) for t in comparison["task"]],
        [int(s) for s in reference["seed"]],
        [int(s) for s in comparison["seed"]],
    )


def by_model(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over layers of every trained model."""
    return frame.groupby(["task", "method", "seed"], sort=False)["drift"].mean().reset_index()


def layer_table(frame: pd.DataFrame, method: str, layers: Sequence[int]) -> tuple[Floats, list[str]]:
    """(models, layers) drift of one method's final models, in the order in which they appear, and the task of each."""
    here = frame[frame["method"] == method]
    wide = here.pivot_table(index=["task", "seed"], columns="layer", values="drift", sort=False)[list(layers)]
    wide = wide.loc[pd.MultiIndex.from_frame(here[["task", "seed"]].drop_duplicates())]
    return wide.to_numpy(dtype=float), [str(task) for task, _ in wide.index]


def _task_mean(values: Floats, tasks: Sequence[str]) -> float:
    labels = np.array(tasks)
    return float(np.mean([values[labels == task].mean() for task in dict.fromkeys(tasks)]))
