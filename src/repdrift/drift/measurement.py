"""From representation sets to the tidy drift table, with controls and resampled drifts measured on the way."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.core.memory import give_back
from repdrift.core.progress import Bar
from repdrift.core.records.results import DRIFT_COLUMNS, Control
from repdrift.drift.analysis_plan import PlannedSet
from repdrift.drift.chosen_measures import Reasons, why
from repdrift.drift.control_conditions import coarsest, mispairings, rounding_drift
from repdrift.drift.resampled_drift import bootstrapped_drifts, left_out_drifts
from repdrift.drift.sample_intervals import Draws, SamplingOptions, TaskDraws, draws_for, sample_bounds
from repdrift.drift.task_sets import TaskSets, read_layer
from repdrift.similarity import Measure, Representation, measure
from repdrift.stores import RepresentationSet

_GIVE_BACK_EVERY = 4
"""Layers between which freed memory is kept: taking it anew costs about a tenth of a layer's time."""

Sides = dict[Path, Representation]
"""By the folder of their set."""
Floats = NDArray[np.floating]


@dataclass
class Measured:
    """The tidy table, the controls, and what the inference needs beside them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    top_feature_share: dict[tuple[str, int], float] = field(default_factory=dict)
    """By task and layer: the largest share of the base representation's variance that one feature holds."""
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By task and measure: the layers at which it is undefined, and why."""
    draws: dict[tuple[str, str], TaskDraws] = field(default_factory=dict)
    """By task and measure: the final models' drifts under resampling of the task's samples."""
    distances: dict[tuple[str, str], dict[int, Floats]] = field(default_factory=dict)
    """By task and method, then layer, under the primary measure: drifts among base (row 0) and final models, (m + 1, m + 1)."""
    rounding: dict[tuple[str, int], float] = field(default_factory=dict)
    """By task and layer, where the dtype is coarser than float32: drift of the base set against itself rounded to it."""

    def table(self) -> pd.DataFrame:
        """One row per task, method, seed, step, layer and measure, in the columns of DRIFT_COLUMNS."""
        table = pd.DataFrame(self.rows, columns=list(DRIFT_COLUMNS))
        table["above_noise"] = table["above_noise"].astype("boolean")
        table["interval"] = table["interval"].astype("str")
        table["n"] = table["n"].astype("Int64")  # whole numbers, though rows about weights have none
        return table


@dataclass(frozen=True)
class _Task:
    """What does not change from layer to layer."""

    sets: TaskSets
    shuffles: NDArray[np.int64]
    draws: Draws
    options: SamplingOptions

    @property
    def finals(self) -> list[tuple[PlannedSet, RepresentationSet]]:
        return [(plan, found) for plan, found in self.sets.runs if plan.step == 0]


def measure_tasks(
    tasks: Sequence[TaskSets], names: Sequence[str], primary: str, options: SamplingOptions | None = None
) -> Measured:
    """Measure every run of every task against its base, layer by layer; one layer of one task is in memory at a time.

    Where a measure other than the primary one is undefined, it has no row at that layer, and `undefined` says why.
    Raises DegenerateInputError naming sets and layer where the primary measure is.
    """
    measured = Measured()
    options = options or SamplingOptions()
    steps = sum(len(sets.base.layers) * len(names) for sets in tasks)
    with Bar("measuring drift", steps) as bar:
        for sets in tasks:
            metadata = sets.base.metadata
            task = _Task(sets, mispairings(metadata.shape[0]), draws_for(metadata, options), options)
            models = [_model(plan) for plan, _ in task.finals]
            for name in names:
                measured.draws[sets.task, name] = TaskDraws(models, list(sets.base.layers))
            for layer in sets.base.layers:
                sides = _sides(sets, layer)
                base = sides[sets.base.folder]
                measured.top_feature_share[sets.task, layer] = top_feature_share(base.exact.numpy())
                floor = rounding_drift(measure(primary), base, coarsest(metadata.compute_dtype, metadata.dtype))
                if floor is not None:
                    measured.rounding[sets.task, layer] = floor
                for name in names:
                    of_layer = Measured()
                    try:
                        _measure_layer(of_layer, task, layer, measure(name), sides, keep_distances=name == primary)
                    except DegenerateInputError as error:
                        if name == primary:
                            raise
                        measured.undefined.setdefault((sets.task, name), {})[layer] = why(error)
                    else:
                        _absorb(measured, of_layer)
                    bar.advance()
                del sides, base
                if layer % _GIVE_BACK_EVERY == 0:
                    give_back()  # else a study of 24 layers ends with several times the memory that it needs
    return measured


def top_feature_share(x: np.ndarray) -> float:
    """Share of the total variance that the most variable feature of x (n, p) holds; in [1/p, 1]."""
    variances = x.var(axis=0)
    return float(variances.max() / variances.sum()) if variances.sum() > 0 else 0.0


def _absorb(measured: Measured, of_layer: Measured) -> None:
    measured.rows += of_layer.rows
    measured.controls += of_layer.controls
    for key, draws in of_layer.draws.items():
        measured.draws[key].bootstrap |= draws.bootstrap
        measured.draws[key].left_out |= draws.left_out
    for key, by_layer in of_layer.distances.items():
        measured.distances.setdefault(key, {}).update(by_layer)


def _sides(sets: TaskSets, layer: int) -> Sides:
    """One layer of every set, read once; what several measures derive from it is computed once."""
    sides: Sides = {}
    others = (found for _, found in (*sets.runs, *sets.random_changes))
    for found in (sets.base, sets.identity, *others):
        if found is not None:
            with _named(f"{found.folder}, layer {layer}"):
                sides[found.folder] = Representation(read_layer(found, layer))
    return sides


def _measure_layer(
    measured: Measured, task: _Task, layer: int, m: Measure, sides: Sides, *, keep_distances: bool
) -> None:
    sets = task.sets
    base = _prepared(m, sets.base, layer, sides)
    noise = _against_base(m, base, sets, sets.identity, layer, sides) if sets.identity is not None else None
    if noise is not None:
        measured.controls.append(_control("identity", sets.task, None, layer, m, noise))
    tuned = [_prepared(m, found, layer, sides) for _, found in sets.runs]
    values = [_compared(m, base, other, sets, found, layer) for other, (_, found) in zip(tuned, sets.runs, strict=True)]
    finals = {_model(plan): place for place, (plan, _) in enumerate(sets.runs) if plan.step == 0}
    with _named(f"two seeds on {sets.task}, layer {layer}"):
        between = _between_seeds(m, finals, tuned)
    random = _random_changes(measured, m, base, sets, layer, sides)
    rows = list(finals.values())
    resampled = bootstrapped_drifts(m, base, [tuned[row] for row in rows], task.draws)
    by_run = dict(zip(rows, resampled, strict=True)) if resampled is not None else {}
    left_out = left_out_drifts(
        m, base, tuned, task.draws, (sides[sets.base.folder], [sides[found.folder] for _, found in sets.runs])
    )
    for place, (plan, found) in enumerate(sets.runs):
        with _named(f"{sets.base.folder} against {found.folder}, layer {layer}"):
            floor = m.mispaired(base, tuned[place], task.shuffles) if m.paired else None
        drift = m.drift(values[place])
        own = [left_out[place]] if left_out is not None else None
        bounds = sample_bounds(drift, by_run.get(place), own, task.options, log_scale=True)
        pairs = between.get(plan.method)
        measured.rows.append(
            {
                "task": plan.task,
                "method": plan.method,
                "seed": plan.seed,
                "step": plan.step,
                "layer": layer,
                "measure": m.name,
                "value": values[place],
                "drift": drift,
                "drift_low": bounds.low if bounds else np.nan,
                "drift_high": bounds.high if bounds else np.nan,
                "interval": bounds.method if bounds else None,
                "n": sets.base.metadata.shape[0],
                "mispaired_value": np.nan if floor is None else float(floor.mean()),
                "noise_floor": abs(m.drift(noise)) if noise is not None else np.nan,
                "above_noise": bool(drift > abs(m.drift(noise))) if noise is not None else pd.NA,
                "seed_ceiling_drift": m.drift(float(pairs.mean())) if pairs is not None else np.nan,
                "random_change_drift": _matching(random, plan),
            }
        )
        if plan.step == 0 and floor is not None:
            measured.controls.append(_control("mispaired", plan.task, plan.method, layer, m, *map(float, floor)))
    for method, pairs in between.items():
        measured.controls.append(_control("seed_ceiling", sets.task, method, layer, m, *map(float, pairs)))
        if keep_distances:
            of_method = [place for (name, _), place in finals.items() if name == method]
            measured.distances[sets.task, method] = {layer: _distances(m, [values[p] for p in of_method], pairs)}
    kept = TaskDraws(list(finals), [layer])
    if resampled is not None:
        kept.bootstrap[layer] = resampled.astype(np.float32)
    if left_out is not None:
        kept.left_out[layer] = left_out[rows]
    measured.draws[sets.task, m.name] = kept


def _model(plan: PlannedSet) -> tuple[str, int]:
    return plan.method, plan.seed


def _control(name: Any, task: str, method: str | None, layer: int, m: Measure, *values: float) -> Control:
    mean = float(np.mean(values))
    return Control(
        name=name,
        task=task,
        method=method,
        layer=layer,
        measure=m.name,
        value=mean,
        drift=m.drift(mean),
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        repeats=len(values),
    )


def _compared(m: Measure, base: Any, other: Any, sets: TaskSets, found: RepresentationSet, layer: int) -> float:
    with _named(f"{sets.base.folder} against {found.folder}, layer {layer}"):
        return m.compare(base, other)


def _against_base(m: Measure, base: Any, sets: TaskSets, found: RepresentationSet, layer: int, sides: Sides) -> float:
    return _compared(m, base, _prepared(m, found, layer, sides), sets, found, layer)


def _between_seeds(m: Measure, finals: Mapping[tuple[str, int], int], tuned: Sequence[Any]) -> dict[str, Floats]:
    """By method, the value of every pair of its final models, in the order of `numpy.triu_indices`."""
    found: dict[str, Floats] = {}
    for method in dict.fromkeys(method for method, _ in finals):
        of = [tuned[place] for (name, _), place in finals.items() if name == method]
        if len(of) > 1:
            rows, columns = np.triu_indices(len(of), 1)
            found[method] = np.array([m.compare(of[i], of[j]) for i, j in zip(rows, columns, strict=True)])
    return found


def _distances(m: Measure, to_base: Sequence[float], pairs: Floats) -> Floats:
    """Drifts among base (row 0) and models, from the values with the base and the values of pairs."""
    table = np.zeros((len(to_base) + 1, len(to_base) + 1))
    table[0, 1:] = [m.drift(value) for value in to_base]
    rows, columns = np.triu_indices(len(to_base), 1)
    table[rows + 1, columns + 1] = [m.drift(float(value)) for value in pairs]
    return table + table.T


def _random_changes(
    measured: Measured, m: Measure, base: Any, sets: TaskSets, layer: int, sides: Sides
) -> dict[tuple[str, int], float]:
    """Drift of the size-matched control by method and seed; each becomes a control too."""
    found: dict[tuple[str, int], float] = {}
    for plan, random in sets.random_changes:
        value = _against_base(m, base, sets, random, layer, sides)
        found[_model(plan)] = m.drift(value)
    for method in dict.fromkeys(method for method, _ in found):
        drifts = [drift for (name, _), drift in found.items() if name == method]
        values = [m.self_value - d if m.higher_is_similar else d for d in drifts]
        measured.controls.append(_control("random_change", sets.task, method, layer, m, *values))
    return found


def _matching(random: Mapping[tuple[str, int], float], plan: PlannedSet) -> float:
    """The control of the run itself, or else that of another seed of its method: the sizes differ little.

    None for a checkpoint: the control has the size of the final model's change.
    """
    if plan.step != 0:
        return float("nan")
    if _model(plan) in random:
        return random[_model(plan)]
    return next((drift for (method, _), drift in random.items() if method == plan.method), float("nan"))


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
