"""What narrows the claims, as plain sentences: what is missing, cut, unchanged, or not what it seems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from repdrift.core.records.results import RunStatus
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.task_sets import TaskSets


def cautions(
    statuses: Sequence[RunStatus], tasks: Sequence[TaskSets], table: pd.DataFrame, plan: DriftPlan
) -> list[str]:
    """Every caution about the sets and their drifts, in the order in which one should know them."""
    return [
        *_missing(statuses),
        *_unchanged(table, plan),
        *_same_weights(tasks),
        *_precision(tasks),
        *_truncated(tasks),
    ]


def _missing(statuses: Sequence[RunStatus]) -> list[str]:
    absent = [status for status in statuses if status.status != "ok"]
    if not absent:
        return []
    named = "; ".join(f"{s.task}, {s.method}, seed {s.seed}" + (f", step {s.step}" if s.step else "") for s in absent)
    return [
        f"{len(absent)} of {len(statuses)} planned runs are not there ({named}): nothing is said about them, and no "
        "number stands in for them."
    ]


def _unchanged(table: pd.DataFrame, plan: DriftPlan) -> list[str]:
    found: list[str] = []
    primary = table[table["measure"] == plan.primary_measure]
    for (task, method, seed, step), rows in primary.groupby(["task", "method", "seed", "step"], sort=False):
        run = f"{task}, {method}, seed {seed}, step {step}"
        if bool((rows["drift"].abs() <= ZERO_DRIFT).all()):
            found.append(
                f"{run}: drift is exactly zero in every layer. The adapter or fine-tune changes nothing: an adapter whose B "
                "is zero or that was not loaded, training that took no step, or the base model under another name."
            )
        elif bool(rows["above_noise"].eq(False).all()):
            found.append(
                f"{run}: drift is nowhere above the noise of extraction, in no layer. The adapter or fine-tune changes next "
                "to nothing, or was not loaded."
            )
    return found


def _same_weights(tasks: Sequence[TaskSets]) -> list[str]:
    found: list[str] = []
    for sets in tasks:
        holders: dict[str, list[str]] = defaultdict(list)
        for plan, run in sets.runs:
            if plan.step == 0:
                holders[run.metadata.weights_digest].append(f"{plan.method} seed {plan.seed}")
        found += [
            f"Task {sets.task}: {' and '.join(names)} have the same weights. They are one trained model counted "
            f"{len(names)} times, so that p-values are too small."
            for names in holders.values()
            if len(names) > 1
        ]
    return found


def _precision(tasks: Sequence[TaskSets]) -> list[str]:
    found: list[str] = []
    for sets in tasks:
        base = sets.base.metadata
        others = [
            f"{plan.method} seed {plan.seed} ({run.metadata.compute_dtype}, stored as {run.metadata.dtype})"
            for plan, run in sets.runs
            if (run.metadata.compute_dtype, run.metadata.dtype) != (base.compute_dtype, base.dtype)
        ]
        if others:
            found.append(
                f"Task {sets.task}: the base model was extracted in {base.compute_dtype} (stored as {base.dtype}), but "
                f"{', '.join(others)}: part of their drift is rounding, which the noise floor does not show."
            )
    return found


def _truncated(tasks: Sequence[TaskSets]) -> list[str]:
    return [
        f"Task {sets.task}: {cut} of {len(sets.base.metadata.sample_ids)} samples were cut at the maximum length, alike "
        "for all models."
        for sets in tasks
        if (cut := sets.base.metadata.truncated_samples)
    ]
