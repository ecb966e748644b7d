"""Drifts of trained models when the samples are drawn anew: with replacement, or with some of them left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.drift.analysis_plan import TrainedModel
from repdrift.drift.memory_need import PreparedModels
from repdrift.drift.sample_intervals import Draws
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


@dataclass
class ResampledDrifts:
    """Drifts of one task's final models under one measure, in every draw, by layer.

    bootstrap: (models, B), in each resample. delete_group: (models, G), without each sample or group. A layer may be in both,
    in one or in neither.
    """

    models: list[TrainedModel]
    layers: list[int]
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
    if not which or draws.weights is None or m.resampled(base, [], draws.weights) is None:
        return None
    found: list[Floats] = []
    for start in range(0, len(which), tuned.most):
        values = m.resampled(base, [tuned[index] for index in which[start : start + tuned.most]], draws.weights)
        if values is not None:
            found.append(drifts_of(m, values))
    return np.concatenate(found)


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
    if not tuned:
        return None
    try:
        if draws.by_sample:
            first = m.without_one(base, tuned[0])
            if first is not None:
                others = (m.without_one(base, tuned[index]) for index in range(1, len(tuned)))
                return drifts_of(m, np.array([first, *others]))
        if draws.groups is None:
            return None
        return drifts_of(m, delete_group_values(m, representations[0], representations[1], draws.groups))
    except DegenerateInputError:
        return None


def drifts_of(m: Measure, values: Floats) -> Floats:
    """Returns the drift of every value: 1 - value for similarities, the value itself for distances."""
    return m.self_value - values if m.higher_is_similar else values
