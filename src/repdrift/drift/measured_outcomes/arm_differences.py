"""Outcomes of two arms against each other, paired over items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.records.outcomes import ArmDifference
from repdrift.core.words import method_title, task_title
from repdrift.drift.measured_outcomes.arms import same_items
from repdrift.drift.measured_outcomes.table import groups_of, numbers
from repdrift.statistics import score_difference, without_spread


@dataclass(frozen=True)
class ArmDifferences:
    """The differences, and sentences on arms that are not compared."""

    found: list[ArmDifference]
    notes: list[str]


def arm_differences(items: pd.DataFrame, reference: str, methods: Sequence[str], confidence: float) -> ArmDifferences:
    """Returns each outcome of the whole model of every arm minus that of the reference arm, over final models.

    Arms whose models were measured on other items are not compared, and the notes say so.
    """
    final = items[(items["step"] == 0) & items["layer"].isna()]
    groups: Any = final.groupby(["task", "outcome", "inputs"], sort=False)
    found: list[ArmDifference] = []
    notes: dict[str, None] = {}
    for (task, outcome, inputs), rows in groups:
        arms = {str(method): _by_seed(of_arm) for method, of_arm in rows.groupby("method", sort=False)}
        second = arms.get(reference)
        for method, first in arms.items():
            if method == reference or method not in methods or second is None:
                continue
            one, other = next(iter(first.values())), next(iter(second.values()))
            if not same_items(one, other):
                notes[
                    f"{task_title(str(task))}: {method_title(method)} and {method_title(reference)} were measured on other items ({len(one)} and "
                    f"{len(other)}), so their outcomes and flips are not compared."
                ] = None
                continue
            values, others, of_items = _values(first), _values(second), groups_of(one)
            compared = score_difference(values, others, of_items, weights=numbers(one, "weight"), confidence=confidence)
            interval, note = compared.interval, compared.missing
            if alike := without_spread(values.mean(axis=0) - others.mean(axis=0), of_items, of_differences=True):
                interval, note = None, note or alike
            if interval is not None and interval.low == interval.high:
                interval = None
                note = (
                    "no interval: the difference is the same on every item, so that nothing shows how far it may vary"
                )
            found.append(
                ArmDifference(
                    task=str(task),
                    method=method,
                    reference=reference,
                    outcome=str(outcome),
                    inputs=inputs,
                    seeds=list(first),
                    reference_seeds=list(second),
                    difference=compared.difference,
                    low=interval.low if interval is not None else None,
                    high=interval.high if interval is not None else None,
                    interval=f"jackknife over {compared.over}" if interval is not None else "",
                    n=len(one),
                    n_groups=compared.n_groups,
                    note=note,
                )
            )
    return ArmDifferences(found, list(notes))


def _by_seed(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    groups: Any = rows.groupby("seed", sort=True)
    return {int(seed): of_run for seed, of_run in groups}


def _values(runs: Mapping[int, pd.DataFrame]) -> np.ndarray:
    return np.stack([numbers(rows, "value") for rows in runs.values()])
