"""Drifts of trained models when the samples are drawn anew: with replacement, or with some of them left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.drift.analysis_plan import TrainedModel
from repdrift.drift.memory_need import PreparedModels
from repdrift.drift.sample_intervals import Draws, SamplingOptions, group_pull, sample_interval
from repdrift.drift.sample_units import ALONE, SampleUnits
from repdrift.similarity import Measure, Representation
from repdrift.similarity.uncertainty.delete_group import delete_group_values

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class DriftDraws:
    """Drifts of some models in every draw. A table is None if the samples were not drawn in its way.

    bootstrap: (models, B), in each resample. delete_group: (models, G), without each sample or group.
    """

    bootstrap: Floats | None
    delete_group: Floats | None


@dataclass(frozen=True)
class GroupedInterval:
    """The interval of a drift over groups of samples.

    pull: the share by which alike samples of a group pull it, see `group_pull`. freedom: degrees of freedom of Student's t behind it.
    """

    low: float
    high: float
    pull: float
    freedom: float


@dataclass
class ResampledDrifts:
    """Drifts of one task's final models under one measure, in every draw, by layer.

    bootstrap: (models, B), in each resample. delete_group: (models, G), without each sample or group. A layer may be in both,
    in one or in neither. units: what is drawn. Resamples of groups are reflected, see `reflected`.
    """

    models: list[TrainedModel]
    layers: list[int]
    units: SampleUnits = ALONE
    bootstrap: dict[int, Floats] = field(default_factory=dict)
    delete_group: dict[int, Floats] = field(default_factory=dict)

    def of(self, models: Sequence[TrainedModel], layer: int | None) -> DriftDraws:
        """Returns the drifts of `models` at a layer, or their mean over all layers for None."""
        model_index = [self.models.index(model) for model in models]
        layers = self.layers if layer is None else [layer]
        return DriftDraws(
            _mean(self.bootstrap, layers, model_index),
            _mean(self.delete_group, layers, model_index),
        )


def _mean(by_layer: dict[int, Floats], layers: Sequence[int], model_index: Sequence[int]) -> Floats | None:
    if not layers or any(layer not in by_layer for layer in layers):
        return None
    total = np.zeros((len(model_index), by_layer[layers[0]].shape[1]))
    for layer in layers:
        total += by_layer[layer][model_index]
    return total / len(layers)


def bootstrapped_drifts(
    m: Measure, base: Any, tuned: PreparedModels, which: Sequence[int], draws: Draws
) -> Floats | None:
    """Returns the drifts of the models `which` in every resample, (len(which), B); None if the measure has no formula for that."""
    values = None if draws.weights is None else _resampled(m, base, tuned, which, draws.weights)
    return None if values is None else drifts_of(m, values)


def _resampled(
    m: Measure, base: Any, tuned: Sequence[Any], which: Sequence[int], weights: NDArray[np.integer]
) -> Floats | None:
    """Returns the values of the models `which` in every resample; None if the measure has no formula for that, or there are no models."""
    if not which or m.resampled(base, [], weights) is None:
        return None
    found: list[Floats] = []
    most = tuned.most if isinstance(tuned, PreparedModels) else len(which)
    for start in range(0, len(which), most):
        values = m.resampled(base, [tuned[index] for index in which[start : start + most]], weights)
        if values is not None:
            found.append(values)
    return np.concatenate(found)


def reflected(estimate: float, replicates: Floats, n_groups: int) -> Floats:
    """Returns resamples of groups, (B,), reflected about the estimate, on the scale of the logarithm where all are above 0.

    Samples of one group are alike, which pulls a drift down. A resample that holds a group twice has the pull twice, so that replicates are
    off by as much again as the estimate is, to the same side. Reflected, they are centred where the estimate would be without it. They
    are stretched by sqrt(G / (G - 1)), since a resample's deviations are those from the mean of these groups. NaN stays NaN.
    Source: Davison and Hinkley 1997, section 5.2 (the basic bootstrap).
    """
    stretch = float(np.sqrt(n_groups / (n_groups - 1)))
    known = replicates[np.isfinite(replicates)]
    if known.size == 0:
        return replicates
    if estimate > 0 and bool((known > 0).all()):
        logs = np.log(np.where(np.isfinite(replicates), replicates, np.nan))
        centre = np.log(known).mean()
        return np.exp(2 * np.log(estimate) - centre - stretch * (logs - centre))
    centre = known.mean()
    return 2 * estimate - centre - stretch * (replicates - centre)


def delete_group_drifts(
    m: Measure,
    base: Any,
    tuned: Sequence[Any],
    draws: Draws,
    representations: tuple[Representation, Sequence[Representation]],
) -> Floats | None:
    """Returns the drifts of prepared models with samples left out, (len(tuned), G).

    Each sample is left out in turn if the measure has a formula for that, else each group of samples. representations: of
    the base model and of the tuned models; a measure without a formula is computed from them again. Returns None if there are no
    groups, or if the measure is undefined without some samples: then the drift has no interval.
    """
    if not tuned or draws.units.missing is not None:
        return None
    try:
        if draws.by_sample:
            first = m.without_one(base, tuned[0])
            if first is not None:
                others = (m.without_one(base, tuned[index]) for index in range(1, len(tuned)))
                return drifts_of(m, np.array([first, *others]))
        if draws.groups is None:
            return None
        if draws.units.n_groups is not None and draws.groups.size == base.n:
            kept = (draws.groups[None, :] != np.arange(draws.groups.max() + 1)[:, None]).astype(np.int8)
            values = _resampled(m, base, tuned, range(len(tuned)), kept)
            if values is not None:
                return None if np.isnan(values).any() else drifts_of(m, values)
        return drifts_of(m, delete_group_values(m, representations[0], representations[1], draws.groups))
    except DegenerateInputError:
        return None


def drifts_of(m: Measure, values: Floats) -> Floats:
    """Returns the drift of every value: 1 - value for similarities, the value itself for distances."""
    return m.self_value - values if m.higher_is_similar else values


def drift_interval(
    m: Measure, base: Any, tuned: Any, draws: Draws, representations: tuple[Representation, Representation]
) -> GroupedInterval | None:
    """Returns the jackknife interval of one drift over groups of samples; None if it has none.

    base, tuned: prepared for the measure. draws: of samples in groups. representations: both models', for a measure without a formula.
    """
    found = delete_group_drifts(m, base, [tuned], draws, (representations[0], [representations[1]]))
    if found is None:
        return None
    drift = m.drift(m.compare(base, tuned))
    units = replace(draws.units, corrected=m.debiased)
    interval = sample_interval(drift, None, [found[0]], SamplingOptions(replicates=0), log_scale=True, units=[units])
    if interval is None:
        return None
    freedom = found.shape[1] - 1 if units.freedom is None else units.freedom
    return GroupedInterval(interval.low, interval.high, group_pull(drift, found[0]), freedom)
