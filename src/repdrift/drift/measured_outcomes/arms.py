"""Outcomes of arms: the mean over the runs of a method on a task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.records.outcomes import ArmOutcome
from repdrift.drift.measured_outcomes.table import groups_of, numbers, same_for_every_item
from repdrift.statistics import mean_over_models, within_share, without_spread

_ARM = ["task", "method", "step", "outcome", "inputs", "layer"]


def arm_outcomes(
    items: pd.DataFrame,
    learnt: Mapping[tuple[str, str, int], bool | None],
    confidence: float,
    shares: Collection[str] = (),
) -> list[ArmOutcome]:
    """Returns every outcome of every arm, over its final models.

    learnt: whether each run has learnt its task, by task, method and seed. shares: outcomes that are shares, whose intervals end at 0 and 1.
    """
    final = items[items["step"] == 0]
    return list(_arms(final, learnt, confidence, shares))


def _arms(
    items: pd.DataFrame,
    learnt: Mapping[tuple[str, str, int], bool | None],
    confidence: float,
    shares: Collection[str],
) -> Iterator[ArmOutcome]:
    groups: Any = items.groupby(_ARM, sort=False, dropna=False, observed=True)
    for key, of_arm in groups:
        task, method, step, outcome, inputs, layer = key
        runs: dict[int, pd.DataFrame] = {int(seed): rows for seed, rows in of_arm.groupby("seed", sort=True)}
        first = next(iter(runs.values()))
        what = f"{outcome} of {task}, {method}"
        for seed, rows in runs.items():
            require_same_items(first, rows, f"{what}, seeds {next(iter(runs))} and {seed}")
        values = np.stack([numbers(rows, "value") for rows in runs.values()])
        base = np.stack([numbers(rows, "base_value") for rows in runs.values()])
        weights, groups = numbers(first, "weight"), groups_of(first)
        has_base = bool(np.isfinite(base).all())
        shown = values - base if has_base else values
        found = mean_over_models(shown, groups, weights=weights, confidence=confidence)
        alike = without_spread(shown, groups, of_differences=has_base)
        interval = None if alike else found.interval
        if interval is not None and not has_base and outcome in shares:
            interval = within_share(interval)
        unlearnt = [seed for seed in runs if learnt.get((str(task), str(method), seed)) is False]
        said = same_for_every_item(shown, has_base=has_base) + (found.missing or alike)
        notes = [said] if said else []
        if unlearnt:
            notes.append(f"{len(unlearnt)} of {len(runs)} models have not learnt the task")
        yield ArmOutcome(
            task=str(task),
            method=str(method),
            step=int(step),
            outcome=str(outcome),
            inputs=inputs,
            layer=None if pd.isna(layer) else int(layer),
            seeds=list(runs),
            value=float(np.average(values.mean(axis=0), weights=weights)),
            base_value=float(np.average(base.mean(axis=0), weights=weights)) if has_base else None,
            difference=found.mean if has_base else None,
            low=interval.low if interval is not None else None,
            high=interval.high if interval is not None else None,
            interval=f"jackknife over {found.over}" if interval is not None else "",
            n=values.shape[1],
            n_groups=found.n_groups,
            note="; ".join(notes),
        )


def require_same_items(one: pd.DataFrame, other: pd.DataFrame, what: str) -> None:
    """Raises SampleSetMismatchError unless two runs have the same items in the same order, with the same weights."""
    if same_items(one, other):
        return
    raise SampleSetMismatchError(
        f"{what}: measured on other items ({len(one)} and {len(other)}). Only models measured on the same items are compared: run `repdrift "
        "evaluate` for all of them with the same settings (max_validation_samples, for example)."
    )


def same_items(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """True if two runs have the same items in the same order, with the same weights."""
    return list(one["item"]) == list(other["item"]) and np.array_equal(numbers(one, "weight"), numbers(other, "weight"))
