"""The number of samples that a study needs, from the widths of a pilot's intervals over samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from repdrift.core.errors import ConfigError
from repdrift.core.records.results import DriftResults
from repdrift.core.site_rows import residual_rows
from repdrift.planning.pilot import chosen_tasks
from repdrift.statistics import samples_needed

_NONE = "none: "
"""What the column `interval` of the table begins with where it gives a reason."""


@dataclass(frozen=True)
class SamplePlan:
    """The half-widths of the intervals over samples of one task and method, and the samples that a target asks for.

    median: over layers and seeds. largest: the widest, at `layer` and `seed`. Both are drifts, conditional on the trained
    models. needed_median, needed_largest: numbers of samples; None without a target. groups: the groups that the samples come from, in words, of
    which more are needed then; None: each stands alone. missing: why there are no numbers.
    """

    task: str
    method: str
    n_samples: int | None = None
    median: float | None = None
    largest: float | None = None
    layer: int | None = None
    seed: int | None = None
    needed_median: int | None = None
    needed_largest: int | None = None
    groups: str | None = None
    missing: str | None = None


def sample_plans(
    results: DriftResults, table: pd.DataFrame, tasks: Sequence[str] | None = None, *, target: float | None = None
) -> list[SamplePlan]:
    """Returns the half-widths of the intervals over samples, by task and method, for final models and the primary measure.

    table: the tidy table of `results`. target: the half-width wanted, as a drift; a half-width shrinks as 1 / sqrt(n).
    Raises ConfigError unless `target` is above 0 and finite, UnknownNameError for a task that the study does not have.
    """
    if target is not None and not 0 < target < math.inf:
        raise ConfigError(f"a half-width should be above 0 and finite, such as 0.01; got {target}")
    study = results.study
    table = residual_rows(table)
    final = table[(table["measure"] == study.primary_measure) & (table["step"] == 0)]
    plans: list[SamplePlan] = []
    for task in chosen_tasks(results, tasks):
        for method in study.methods:
            here = final[(final["task"] == task) & (final["method"] == method)]
            plans.append(_sample_plan(here, task, method, target))
    return plans


def _no_interval(rows: pd.DataFrame) -> str:
    """The reason that the table gives, such as too few groups of samples."""
    said = [str(words) for words in rows["interval"] if str(words).startswith(_NONE)]
    return "no interval over samples" + (f": {said[0].removeprefix(_NONE)}" if said else "")


def _sample_plan(rows: pd.DataFrame, task: str, method: str, target: float | None) -> SamplePlan:
    if rows.empty:
        return SamplePlan(task, method, missing="no trained model")
    width = (rows["drift_high"] - rows["drift_low"]).to_numpy(dtype=float, na_value=np.nan) / 2
    n = rows["n"].to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(width) & np.isfinite(n)
    if not known.any():
        return SamplePlan(task, method, missing=_no_interval(rows))
    rows, width, n = rows[known], width[known], n[known]
    if len(set(n.tolist())) > 1:
        return SamplePlan(task, method, missing="models with different numbers of samples")
    widest, samples = int(np.argmax(width)), int(n[0])
    median, largest = float(np.median(width)), float(width[widest])
    if median <= 0:
        return SamplePlan(task, method, n_samples=samples, missing="intervals without a width")
    needed = (None, None)
    if target is not None:
        needed = tuple(samples_needed(half, samples, target=target) for half in (median, largest))
    return SamplePlan(
        task=task,
        method=method,
        n_samples=samples,
        median=median,
        largest=largest,
        layer=int(rows["layer"].iloc[widest]),
        seed=int(rows["seed"].iloc[widest]),
        needed_median=needed[0],
        needed_largest=needed[1],
        groups=next((of for words in rows["interval"] if (of := str(words).partition(" over ")[2])), None),
    )
