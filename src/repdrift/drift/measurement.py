"""Measuring drift: from representation sets to the tidy table, the controls and the resampled drifts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.core.memory import give_back
from repdrift.core.progress import Bar
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.drift.chosen_measures import why
from repdrift.drift.control_conditions import coarsest, mispairings, rounding_drift
from repdrift.drift.layer_measurement import Measured, MeasuredTask, layer_size, measure_layer, read_place
from repdrift.drift.memory_need import KEPT_BYTES, require_memory
from repdrift.drift.resampled_drift import ResampledDrifts
from repdrift.drift.sample_intervals import SamplingOptions, draws_for
from repdrift.drift.task_sets import TaskSets
from repdrift.similarity import measure

_GIVE_BACK_BYTES = 256 << 20
"""Freed memory is given back each time this much was freed, not at every layer: taking it anew costs a tenth of a layer's time."""

Floats = NDArray[np.floating]


def measure_tasks(
    tasks: Sequence[TaskSets],
    names: Sequence[str],
    primary: str,
    options: SamplingOptions | None = None,
    *,
    grouped: Collection[str] = (),
) -> Measured:
    """Measure every run of every task against its base model. One layer of one task is in memory at a time.

    grouped: tasks whose samples come in groups, also where the sets of an older version do not say so.

    A measure that is undefined at a layer has no row there, and `Measured.undefined` says why. For the primary measure that
    raises DegenerateInputError, naming sets and layer.
    """
    measured = Measured()
    options = options or SamplingOptions()
    freed = 0
    steps = sum(len(sets.base.layers) * len(names) for sets in tasks)
    with Bar("measuring drift", steps) as bar:
        for sets in tasks:
            metadata = sets.base.metadata
            size = layer_size(sets, options)
            require_memory(size, names, f"task {sets.task!r}")
            shared = size.shared_bytes(names) <= KEPT_BYTES
            draws = draws_for(metadata, options, grouped=sets.task in grouped)
            measured.units[sets.task] = draws.units
            task = MeasuredTask(sets, mispairings(metadata.shape[0]), draws, options, size)
            for name in names:
                measured.draws[sets.task, name] = ResampledDrifts(
                    list(task.final_models), list(sets.base.layers), task.units(measure(name))
                )
            for layer in sets.base.layers:
                read = read_place(task, SiteLayer(RESID_POST, layer), shared=shared)
                base = read.representations[sets.base.folder]
                measured.top_feature_share[sets.task, layer] = top_feature_share(base.exact.numpy())
                floor = rounding_drift(measure(primary), base, coarsest(metadata.compute_dtype, metadata.dtype))
                if floor is not None:
                    measured.rounding[sets.task, layer] = floor
                for name in names:
                    of_layer = Measured()
                    try:
                        measure_layer(of_layer, read, measure(name), keep_distances=name == primary)
                    except DegenerateInputError as error:
                        if name == primary:
                            raise
                        measured.undefined.setdefault((sets.task, name), {})[layer] = why(error)
                    else:
                        _absorb(measured, of_layer)
                    bar.advance()
                freed += 8 * base.n * base.p * len(read.representations)
                del read, base
                if freed >= _GIVE_BACK_BYTES:
                    give_back()  # else a study of 24 layers ends with several times the memory that it needs
                    freed = 0
    return measured


def top_feature_share(x: np.ndarray) -> float:
    """Returns the share of the total variance that the most variable feature of x (n, p) holds; in [1/p, 1], or 0 for none."""
    variances = x.var(axis=0)
    return float(variances.max() / variances.sum()) if variances.sum() > 0 else 0.0


def _absorb(measured: Measured, of_layer: Measured) -> None:
    measured.rows += of_layer.rows
    measured.controls += of_layer.controls
    for key, draws in of_layer.draws.items():
        measured.draws[key].bootstrap |= draws.bootstrap
        measured.draws[key].delete_group |= draws.delete_group
    for task, pull in of_layer.pull.items():
        measured.pull.setdefault(task, []).extend(pull)
    for key, by_layer in of_layer.distances.items():
        measured.distances.setdefault(key, {}).update(by_layer)
