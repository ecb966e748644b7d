"""Flips between two models: items that one gets right and the other wrong, with McNemar's exact test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.group_words import LEAST_GROUPS
from repdrift.core.records.outcomes import RIGHT_OR_WRONG, Flips
from repdrift.core.records.representation_set import BASE_METHOD
from repdrift.drift.measured_outcomes.arms import same_items
from repdrift.drift.measured_outcomes.table import groups_of, numbers
from repdrift.statistics import mcnemar_test


def all_flips(items: pd.DataFrame, reference: str, methods: Sequence[str]) -> list[Flips]:
    """Returns the flips of every final model against the base model, where it can answer, and against the reference arm's model of the
    same task and seed, where both were measured on the same items.
    """
    final = items[(items["step"] == 0) & items["outcome"].isin(RIGHT_OR_WRONG)]
    return [*_against_base(final), *_between_arms(final, reference, methods)]


def _against_base(items: pd.DataFrame) -> Iterator[Flips]:
    for (task, method, seed, outcome), rows in _by_run(items).items():
        base = numbers(rows, "base_value")
        if np.isfinite(base).all():
            yield _flips(task, method, BASE_METHOD, seed, outcome, rows, base)


def _between_arms(items: pd.DataFrame, reference: str, methods: Sequence[str]) -> Iterator[Flips]:
    by_run = _by_run(items)
    for (task, method, seed, outcome), rows in by_run.items():
        other = by_run.get((task, reference, seed, outcome))
        if method == reference or method not in methods or other is None or not same_items(other, rows):
            continue
        yield _flips(task, method, reference, seed, outcome, rows, numbers(other, "value"))


def _by_run(items: pd.DataFrame) -> dict[tuple[str, str, int, str], pd.DataFrame]:
    groups: Any = items.groupby(["task", "method", "seed", "outcome"], sort=False)
    return {(str(t), str(m), int(s), str(o)): rows for (t, m, s, o), rows in groups}


def _flips(
    task: str,
    method: str,
    against: str,
    seed: int,
    outcome: str,
    rows: pd.DataFrame,
    before: NDArray[np.float64],
) -> Flips:
    groups = groups_of(rows)
    found = mcnemar_test(before >= 1, numbers(rows, "value") >= 1, groups)
    few = found.n_groups is not None and found.n_groups < LEAST_GROUPS
    note = ""
    if found.n_groups is not None:
        over = f"{found.n_groups} groups"
        note = (
            f"no test: items come in {over}, and one needs {LEAST_GROUPS} at least"
            if few
            else f"signs of whole groups flipped, {over}"
        )
    return Flips(
        task=task,
        method=method,
        against=against,
        seed=seed,
        outcome=outcome,
        n=len(rows),
        right_to_wrong=found.lost,
        wrong_to_right=found.won,
        p=None if few else found.pvalue,
        note=note,
    )
