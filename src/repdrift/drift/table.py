"""From representation sets to the tidy drift table, with the controls measured on the way."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.errors import DegenerateInputError
from repdrift.core.progress import Bar
from repdrift.core.records.results import DRIFT_COLUMNS, Control
from repdrift.drift.pairing import TaskSets, read_layer
from repdrift.drift.shuffles import mispairings
from repdrift.drift.undefined import Reasons, why
from repdrift.similarity import Measure, Side, measure
from repdrift.stores.representation_set import RepresentationSet

Sides = dict[Path, Side]
"""By the folder of their set."""


@dataclass
class Measured:
    """The tidy table and the controls."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    top_feature_share: dict[tuple[str, int], float] = field(default_factory=dict)
    """By task and layer: the largest share of the base representation's variance that one feature holds."""
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By task and measure: the layers at which it is undefined, and why."""

    def table(self) -> pd.DataFrame:
        """One row per task, method, seed, step, layer and measure, in the columns of DRIFT_COLUMNS."""
        table = pd.DataFrame(self.rows, columns=list(DRIFT_COLUMNS))
        table["above_noise"] = table["above_noise"].astype("boolean")
        table["interval"] = table["interval"].astype("str")
        table["n"] = table["n"].astype("Int64")  # whole numbers, though rows about weights have none
        return table


def measure_tasks(tasks: list[TaskSets], names: list[str], primary: str) -> Measured:
    """Measure every run of every task against its base, layer by layer; one layer of one task is in memory at a time.

    Where a measure other than the primary one is undefined, it has no row at that layer, and `undefined` says why.
    Raises DegenerateInputError naming sets and layer where the primary measure is.
    """
    measured = Measured()
    steps = sum(len(sets.base.layers) * len(names) for sets in tasks)
    with Bar("measuring drift", steps) as bar:
        for sets in tasks:
            shuffles = mispairings(sets.base.metadata.shape[0])
            for layer in sets.base.layers:
                sides = _sides(sets, layer)
                measured.top_feature_share[sets.task, layer] = top_feature_share(sides[sets.base.folder].exact.numpy())
                for name in names:
                    of_layer = Measured()
                    try:
                        _measure_layer(of_layer, sets, layer, measure(name), sides, shuffles)
                    except DegenerateInputError as error:
                        if name == primary:
                            raise
                        measured.undefined.setdefault((sets.task, name), {})[layer] = why(error)
                    else:
                        measured.rows += of_layer.rows
                        measured.controls += of_layer.controls
                    bar.advance()
    return measured


def top_feature_share(x: np.ndarray) -> float:
    """Share of the total variance that the most variable feature of x (n, p) holds; in [1/p, 1]."""
    variances = x.var(axis=0)
    return float(variances.max() / variances.sum()) if variances.sum() > 0 else 0.0


def _sides(sets: TaskSets, layer: int) -> Sides:
    """One layer of every set, read once; what several measures derive from it is computed once."""
    sides: Sides = {}
    for found in (sets.base, sets.identity, *(run for _, run in sets.runs)):
        if found is not None:
            with _named(f"{found.folder}, layer {layer}"):
                sides[found.folder] = Side(read_layer(found, layer))
    return sides


def _measure_layer(
    measured: Measured, sets: TaskSets, layer: int, m: Measure, sides: Sides, shuffles: np.ndarray
) -> None:
    base = _prepared(m, sets.base, layer, sides)
    noise = _noise(m, base, sets, layer, sides)
    if noise is not None:
        measured.controls.append(
            Control(
                name="identity",
                task=sets.task,
                method=None,
                layer=layer,
                measure=m.name,
                value=noise[0],
                drift=noise[1],
                repeats=1,
            )
        )
    by_method: dict[tuple[str, int], list[Any]] = {}
    for plan, found in sets.runs:
        tuned = _prepared(m, found, layer, sides)
        by_method.setdefault((plan.method, plan.step), []).append(tuned)
        with _named(f"{sets.base.folder} against {found.folder}, layer {layer}"):
            value = m.compare(base, tuned)
            interval = m.interval(base, tuned)
            floor = m.mispaired(base, tuned, shuffles) if m.paired else None
        drift = m.drift(value)
        low, high = sorted(map(m.drift, interval)) if interval else (np.nan, np.nan)
        measured.rows.append(
            {
                "task": plan.task,
                "method": plan.method,
                "seed": plan.seed,
                "step": plan.step,
                "layer": layer,
                "measure": m.name,
                "value": value,
                "drift": drift,
                "drift_low": low,
                "drift_high": high,
                "interval": "jackknife" if interval else None,
                "n": sets.base.metadata.shape[0],
                "mispaired_value": np.nan if floor is None else float(floor.mean()),
                "noise_floor": abs(noise[1]) if noise else np.nan,
                "above_noise": bool(drift > abs(noise[1])) if noise else pd.NA,
                "seed_ceiling_drift": np.nan,
                "random_change_drift": np.nan,
            }
        )
        if plan.step == 0 and floor is not None:
            measured.controls.append(
                Control(
                    name="mispaired",
                    task=plan.task,
                    method=plan.method,
                    layer=layer,
                    measure=m.name,
                    value=float(floor.mean()),
                    drift=m.drift(float(floor.mean())),
                    spread=float(floor.std(ddof=1)),
                    repeats=len(floor),
                )
            )
    measured.controls += list(_seed_ceilings(m, sets.task, layer, by_method))


def _seed_ceilings(m: Measure, task: str, layer: int, by_method: dict[tuple[str, int], list[Any]]) -> Iterator[Control]:
    for (method, step), prepared in by_method.items():
        if step != 0 or len(prepared) < 2:
            continue
        values = np.array([m.compare(a, b) for a, b in combinations(prepared, 2)])
        yield Control(
            name="seed_ceiling",
            task=task,
            method=method,
            layer=layer,
            measure=m.name,
            value=float(values.mean()),
            drift=m.drift(float(values.mean())),
            spread=float(values.std(ddof=1)) if values.size > 1 else None,
            repeats=int(values.size),
        )


def _prepared(m: Measure, found: RepresentationSet, layer: int, sides: Sides) -> Any:
    with _named(f"{found.folder}, layer {layer}"):
        return m.prepare(sides[found.folder])


@contextmanager
def _named(where: str) -> Generator[None]:
    """Say where a measure was undefined."""
    try:
        yield
    except DegenerateInputError as error:
        raise DegenerateInputError(f"{where}: {error}") from error


def _noise(m: Measure, base: Any, sets: TaskSets, layer: int, sides: Sides) -> tuple[float, float] | None:
    if sets.identity is None:
        return None
    again = _prepared(m, sets.identity, layer, sides)
    with _named(f"{sets.base.folder} against {sets.identity.folder}, layer {layer}"):
        value = m.compare(base, again)
    return value, m.drift(value)
