"""The table of outcomes: one row for each outcome of each run, with an interval paired over items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.records.outcomes import OUTCOME_COLUMNS
from repdrift.core.records.study_info import RunStatus
from repdrift.statistics import grouped_mean, within_share, without_spread

KEY = ["task", "method", "seed", "step", "outcome", "inputs", "layer"]
OVER_ITEMS = "jackknife over items"
OVER_GROUPS = "jackknife over groups of items"


def outcome_table(
    items: pd.DataFrame, statuses: Sequence[RunStatus], confidence: float, shares: Collection[str] = ()
) -> pd.DataFrame:
    """Returns the outcomes in the columns of OUTCOME_COLUMNS, in the order of the items.

    shares: outcomes that are shares, whose intervals end at 0 and 1. The interval is that of the difference from the base model, and of the value where the base has none.
    """
    learnt = {
        (s.task, s.method, s.seed): s.learnt.learnt if s.learnt is not None else None
        for s in statuses
        if s.status == "ok" and s.step == 0
    }
    rows = [
        _row(key, rows, learnt, confidence, shares)
        for key, rows in items.groupby(KEY, sort=False, dropna=False, observed=True)
    ]
    table = pd.DataFrame(rows, columns=list(OUTCOME_COLUMNS))
    return table.astype(
        {
            "layer": "Int64",
            "learnt": "boolean",
            **dict.fromkeys(("value", "base_value", "difference", "low", "high"), "float64"),
        }
    )


def _row(
    key: Any,
    items: pd.DataFrame,
    learnt: Mapping[tuple[str, str, int], bool | None],
    confidence: float,
    shares: Collection[str],
) -> dict[str, Any]:
    named = dict(zip(KEY, key, strict=True))
    values, base, weights = numbers(items, "value"), numbers(items, "base_value"), numbers(items, "weight")
    groups = groups_of(items)
    has_base = bool(np.isfinite(base).all())
    shown = values - base if has_base else values
    found = grouped_mean(shown, groups, weights=weights, confidence=confidence)
    alike = without_spread(shown, groups, of_differences=has_base)
    interval = None if alike else found.interval
    if interval is not None and not has_base and named["outcome"] in shares:
        interval = within_share(interval)
    how = OVER_ITEMS if groups is None else OVER_GROUPS
    return {
        **named,
        "value": float(np.average(values, weights=weights)),
        "base_value": float(np.average(base, weights=weights)) if has_base else None,
        "difference": found.mean if has_base else None,
        "low": interval.low if interval is not None else None,
        "high": interval.high if interval is not None else None,
        "interval": how if interval is not None else "",
        "n": len(items),
        "n_groups": found.n_groups,
        # The verdict is about the final model; of a checkpoint it is not known.
        "learnt": None if named["step"] else learnt.get((str(named["task"]), str(named["method"]), int(named["seed"]))),
        "note": same_for_every_item(shown, has_base=has_base) + (found.missing or alike),
    }


def same_for_every_item(shown: NDArray[np.float64], *, has_base: bool) -> str:
    """Says so, before the reason why there is no interval, if differences from the base model are 0 for every item; "" otherwise. shown: (n,), or (models, n)."""
    return "the two models have the same number for every item; " if has_base and not np.any(shown) else ""


def numbers(items: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Returns a column of items as float64."""
    return items[column].to_numpy(dtype=np.float64)


def groups_of(items: pd.DataFrame) -> list[str] | None:
    """Returns the group of each item; None if each item stands alone."""
    names = [str(name) for name in items["group"]]
    return names if any(names) else None
