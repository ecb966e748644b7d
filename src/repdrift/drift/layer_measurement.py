"""Measuring one layer of one task: every measure of every set against the base model, with all controls."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.results import DRIFT_COLUMNS
from repdrift.core.records.sites import SiteLayer
from repdrift.core.records.study_info import Control
from repdrift.drift.analysis_plan import PlannedSet, TrainedModel
from repdrift.drift.chosen_measures import Reasons
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.memory_need import KEPT_BYTES, LayerSize, PreparedModels
from repdrift.drift.resampled_drift import ResampledDrifts, bootstrapped_drifts, delete_group_drifts, reflected
from repdrift.drift.sample_intervals import Draws, SamplingOptions, group_pull, sample_interval
from repdrift.drift.sample_units import SampleUnits
from repdrift.drift.task_sets import TaskSets, read_finite
from repdrift.similarity import Measure, Representation
from repdrift.stores import RepresentationSet

Floats = NDArray[np.floating]


@dataclass
class Measured:
    """Rows of the tidy table, controls, and what the conclusions need beside them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    top_feature_share: dict[tuple[str, int], float] = field(default_factory=dict)
    """By task and layer: the largest share of the base representation's variance that one feature holds."""
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By task and measure: the layers at which the measure is undefined, and why."""
    draws: dict[tuple[str, str], ResampledDrifts] = field(default_factory=dict)
    """By task and measure: drifts of the final models when the task's samples are drawn anew."""
    distances: dict[tuple[str, str], dict[int, Floats]] = field(default_factory=dict)
    """By task and method, then layer: drifts among base model (row 0) and m final models, (m + 1, m + 1), by the primary measure."""
    units: dict[str, SampleUnits] = field(default_factory=dict)
    """By task: what is drawn anew where samples are."""
    pull: dict[str, list[float]] = field(default_factory=dict)
    """By task whose samples come in groups: the shares by which that pulls the primary drift, of every final model and layer."""
    rounding: dict[tuple[str, int], float] = field(default_factory=dict)
    """By task and layer, for dtypes coarser than float32: drift of the base model against itself, rounded to the dtype."""

    def table(self) -> pd.DataFrame:
        """Returns the tidy table of these rows."""
        return tidy_table(self.rows)


def tidy_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Returns the tidy table: a row for each task, method, seed, step, site, layer and measure, with the columns DRIFT_COLUMNS."""
    table = pd.DataFrame(list(rows), columns=list(DRIFT_COLUMNS))
    table["above_noise"] = table["above_noise"].astype("boolean")
    table["interval"] = table["interval"].astype("str")
    table["n"] = table["n"].astype("Int64")  # whole numbers, though rows about weights have none
    return table


@dataclass(frozen=True)
class MeasuredTask:
    """The sets of a task, and the draws and shuffles of its samples: the same for all layers."""

    sets: TaskSets
    shuffles: NDArray[np.int64]
    draws: Draws
    options: SamplingOptions
    size: LayerSize

    def units(self, m: Measure) -> SampleUnits:
        """Returns what is drawn for a measure: the same for all, but only debiased ones are corrected for the pull of alike samples."""
        return replace(self.draws.units, corrected=m.debiased)

    @property
    def final_models(self) -> dict[TrainedModel, int]:
        """By final model, its index among the task's runs."""
        return {run.plan.model: index for index, run in enumerate(self.sets.runs) if run.plan.step == 0}


@dataclass(frozen=True)
class ReadLayer:
    """One site at one layer of every set of a task, read once, by the folder of the set.

    shared: whether what several measures derive from a representation is computed once and kept, which takes memory.
    """

    task: MeasuredTask
    place: SiteLayer
    representations: dict[Path, Representation]
    shared: bool

    def prepared(self, m: Measure, stored: RepresentationSet) -> Any:
        representation = self.representations[stored.folder]
        with _named(f"{stored.folder}, {self.place.words}"):
            return m.prepare(representation if self.shared else Representation(representation.given))

    def all_runs(self, m: Measure) -> PreparedModels:
        """Returns all runs, prepared when they are asked for."""
        runs = self.task.sets.runs
        most = len(runs) if self.shared else KEPT_BYTES // self.task.size.kept_bytes(m.name) - 1
        return PreparedModels(lambda index: self.prepared(m, runs[index].stored), len(runs), most)

    def compared(self, m: Measure, base: Any, other: Any, stored: RepresentationSet) -> float:
        """Returns the value of the prepared base model against the prepared set `stored`."""
        with _named(self.both(stored)):
            return m.compare(base, other)

    def both(self, stored: RepresentationSet) -> str:
        return f"{self.task.sets.base.folder} against {stored.folder}, {self.place.words}"


def read_place(task: MeasuredTask, place: SiteLayer, *, shared: bool) -> ReadLayer:
    """Reads one site at one layer of every set of a task. Raises DegenerateInputError and NonFiniteError, naming set and place."""
    sets = task.sets
    representations: dict[Path, Representation] = {}
    others = (opened.stored for opened in (*sets.runs, *sets.random_changes))
    for stored in (sets.base, sets.identity, *others):
        if stored is not None:
            with _named(f"{stored.folder}, {place.words}"):
                representations[stored.folder] = Representation(read_finite(stored, place))
    return ReadLayer(task, place, representations, shared)


def layer_size(sets: TaskSets, options: SamplingOptions) -> LayerSize:
    others = (sets.identity, *(opened.stored for opened in (*sets.runs, *sets.random_changes)))
    rows, features = sets.base.metadata.shape
    return LayerSize(1 + sum(stored is not None for stored in others), rows, features, options.replicates)


def measure_layer(measured: Measured, read: ReadLayer, m: Measure, *, keep_distances: bool) -> None:
    task, place, sets = read.task, read.place, read.task.sets
    layer = place.layer
    base = read.prepared(m, sets.base)
    noise = None
    if sets.identity is not None:
        noise = read.compared(m, base, read.prepared(m, sets.identity), sets.identity)
        measured.controls.append(_control("identity", sets.task, None, place, m, noise))
    tuned = read.all_runs(m)
    values: list[float] = []
    all_mispaired: list[Floats | None] = []
    for run, other in zip(sets.runs, tuned, strict=True):
        values.append(read.compared(m, base, other, run.stored))
        with _named(read.both(run.stored)):
            all_mispaired.append(m.mispaired(base, other, task.shuffles) if m.paired else None)
    final_models = task.final_models
    with _named(f"two seeds on {sets.task}, {place.words}"):
        between = _between_seeds(m, final_models, tuned)
    random = _random_changes(measured, read, m, base)
    final_index = list(final_models.values())
    resampled = bootstrapped_drifts(m, base, tuned, final_index, task.draws)
    units = task.units(m)
    missing = None if units.missing is None else f"none: {units.missing}"
    if resampled is not None and units.n_groups is not None:
        estimates = [m.drift(values[index]) for index in final_index]
        pairs_of = zip(estimates, resampled, strict=True)
        resampled = np.array([reflected(drift, drawn, units.n_groups) for drift, drawn in pairs_of])
    bootstrap = dict(zip(final_index, resampled, strict=True)) if resampled is not None else {}
    both = read.representations[sets.base.folder], [read.representations[run.stored.folder] for run in sets.runs]
    delete_group = delete_group_drifts(m, base, tuned, task.draws, both)
    for index, run in enumerate(sets.runs):
        mispaired = all_mispaired[index]
        drift = m.drift(values[index])
        own = [delete_group[index]] if delete_group is not None else None
        interval = sample_interval(drift, bootstrap.get(index), own, task.options, log_scale=True, units=[units])
        if own is not None and units.corrected and units.n_groups is not None and keep_distances and run.plan.step == 0:
            measured.pull.setdefault(sets.task, []).append(group_pull(drift, own[0]))
        pairs = between.get(run.plan.method)
        measured.rows.append(
            {
                "task": run.plan.task,
                "method": run.plan.method,
                "seed": run.plan.seed,
                "step": run.plan.step,
                "site": place.site,
                "layer": layer,
                "measure": m.name,
                "value": values[index],
                "drift": drift,
                "drift_low": interval.low if interval else np.nan,
                "drift_high": interval.high if interval else np.nan,
                "interval": interval.method if interval else missing,
                "n": sets.base.metadata.shape[0],
                "mispaired_value": np.nan if mispaired is None else float(mispaired.mean()),
                "noise_floor": abs(m.drift(noise)) if noise is not None else np.nan,
                "above_noise": _is_above(m, drift, noise) if noise is not None else pd.NA,
                "seed_ceiling_drift": m.drift(float(pairs.mean())) if pairs is not None else np.nan,
                "random_change_drift": _matching(random, run.plan),
            }
        )
        if run.plan.step == 0 and mispaired is not None:
            control = _control("mispaired", run.plan.task, run.plan.method, place, m, *map(float, mispaired))
            measured.controls.append(control)
    for method, pairs in between.items():
        measured.controls.append(_control("seed_ceiling", sets.task, method, place, m, *map(float, pairs)))
        if keep_distances:
            to_base = [values[index] for model, index in final_models.items() if model.method == method]
            measured.distances[sets.task, method] = {layer: _distances(m, to_base, pairs)}
    kept = ResampledDrifts(list(final_models), [layer], units)
    if resampled is not None:
        kept.bootstrap[layer] = resampled.astype(np.float32)
    if delete_group is not None:
        kept.delete_group[layer] = delete_group[final_index]
    measured.draws[sets.task, m.name] = kept


def _is_above(m: Measure, drift: float, noise: float) -> bool:
    """Tells whether a drift is above the noise of extraction, and above what rounding leaves of equal rows."""
    return bool(drift > max(abs(m.drift(noise)), ZERO_DRIFT if m.higher_is_similar else 0.0))


def _control(name: Any, task: str, method: str | None, place: SiteLayer, m: Measure, *values: float) -> Control:
    mean = float(np.mean(values))
    return Control(
        name=name,
        task=task,
        method=method,
        site=place.site,
        layer=place.layer,
        measure=m.name,
        value=mean,
        drift=m.drift(mean),
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        repeats=len(values),
    )


def _between_seeds(m: Measure, final_models: Mapping[TrainedModel, int], tuned: Sequence[Any]) -> dict[str, Floats]:
    """Returns by method the value of every pair of its final models, in the order of `numpy.triu_indices`."""
    found: dict[str, Floats] = {}
    for method in dict.fromkeys(model.method for model in final_models):
        of_method = [index for model, index in final_models.items() if model.method == method]
        if len(of_method) > 1:
            found[method] = np.array([m.compare(tuned[i], tuned[j]) for i, j in combinations(of_method, 2)])
    return found


def _distances(m: Measure, to_base: Sequence[float], pairs: Floats) -> Floats:
    """Returns the drifts among base model (row 0) and final models, from their values with the base model and in pairs."""
    table = np.zeros((len(to_base) + 1, len(to_base) + 1))
    table[0, 1:] = [m.drift(value) for value in to_base]
    first, second = np.triu_indices(len(to_base), 1)
    table[first + 1, second + 1] = [m.drift(float(value)) for value in pairs]
    return table + table.T


def _random_changes(measured: Measured, read: ReadLayer, m: Measure, base: Any) -> dict[TrainedModel, float]:
    """Returns the drift of each size-matched random change by the model that it matches, and adds the controls."""
    sets = read.task.sets
    found = {
        opened.plan.model: m.drift(read.compared(m, base, read.prepared(m, opened.stored), opened.stored))
        for opened in sets.random_changes
    }
    for method in dict.fromkeys(model.method for model in found):
        drifts = [drift for model, drift in found.items() if model.method == method]
        values = [m.self_value - d if m.higher_is_similar else d for d in drifts]
        measured.controls.append(_control("random_change", sets.task, method, read.place, m, *values))
    return found


def _matching(random: Mapping[TrainedModel, float], plan: PlannedSet) -> float:
    """Returns the random change's drift for the run itself, or for another seed of its method: the sizes differ little.

    NaN for a checkpoint: the control has the size of the final model's change.
    """
    if plan.step != 0:
        return float("nan")
    if plan.model in random:
        return random[plan.model]
    return next((drift for model, drift in random.items() if model.method == plan.method), float("nan"))


@contextmanager
def _named(where: str) -> Generator[None]:
    """Puts `where` before the message of a DegenerateInputError."""
    try:
        yield
    except DegenerateInputError as error:
        raise DegenerateInputError(f"{where}: {error}") from error
