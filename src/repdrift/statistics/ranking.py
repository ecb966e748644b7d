"""The order of layers by drift and its uncertainty, from replicates of the drifts of all layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from repdrift.core.errors import ConfigError, ShapeError
from repdrift.statistics.arrangements import Floats, finite, finite_table
from repdrift.statistics.intervals import least_replicates

_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class LayerRanking:
    """Layers in order of drift, with the uncertainty of the order; arrays are (L,), rank 1 is the largest drift.

    rank: of the estimates; equal ones share the mean of their ranks. rank_low, rank_high: intervals that hold the ranks
    of all layers at once. largest_set: the columns, from 0, among which is the layer with the largest drift.
    """

    rank: Floats
    rank_low: NDArray[np.int64]
    rank_high: NDArray[np.int64]
    largest_set: tuple[int, ...]


def rank_layers(replicates: ArrayLike, estimate: ArrayLike, *, confidence: float = 0.95) -> LayerRanking:
    """Rank layers by drift; the intervals of ranks and the largest set hold at `confidence`.

    replicates: (B, L), one row per resample, shared by all layers; estimate: (L,), of the samples themselves.
    Replicates over samples give a ranking that is conditional on the trained models.

    A layer is in `largest_set` unless some layer exceeds it significantly: its largest studentised difference from the
    others is compared with that of its replicates. The interval of a rank counts the layers that exceed this one
    and those that it exceeds, with all pairs bounded at once. Standard errors of differences come from the replicates;
    a pair whose difference does not vary in them is decided by that difference. Quantiles of replicates of a rank are
    not given: where drifts lie close together they do not cover.
    Raises ShapeError unless there are two layers at least and as many as estimates, NonFiniteError for NaN or Inf,
    ConfigError unless 0 < confidence < 1, or for fewer than 10 replicates beyond the critical value (200 for 0.95).
    Source: Mogstad, Romano, Shaikh and Wilhelm 2024. Departure: single-step; differences by bootstrap, not by sampling.
    """
    values, centre = finite_table(replicates, "replicates"), finite(estimate, "estimate")
    n_replicates, layers = values.shape
    if centre.size != layers or layers < 2:
        raise ShapeError(
            f"replicates should have one column for each of at least two layers: {values.shape}, with {centre.size} estimates"
        )
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence lies between 0 and 1, such as 0.95; got {confidence}")
    needed = least_replicates(1 - confidence)
    if n_replicates < needed:
        raise ConfigError(f"a confidence of {confidence:g} needs at least {needed} replicates; got {n_replicates}")
    excess, errors = _excesses(values, centre)
    exceeds = excess > _quantile(errors.max(axis=0), confidence)  # [i, j]: layer j exceeds layer i
    return LayerRanking(
        rank=np.asarray(rankdata(-centre), dtype=np.float64),
        rank_low=1 + exceeds.sum(axis=1),
        rank_high=layers - exceeds.sum(axis=0),
        largest_set=tuple(i for i in range(layers) if excess[i].max() <= _quantile(errors[i], confidence)),
    )


def _excesses(values: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """Studentised differences of layers, and their largest errors in each replicate.

    Returns (L, L), [i, j] = (drift of j - drift of i) / its standard error; and the largest error over the pairs of each
    i, (L, B).
    """
    layers = centre.size
    excess = np.empty((layers, layers))
    errors = np.empty((layers, len(values)))
    size = np.abs(values).max()
    for i in range(layers):  # one layer against all others at a time: (B, L), not (B, L, L)
        difference = centre - centre[i]
        error = values - values[:, [i]] - difference
        spread = (values - values[:, [i]]).std(axis=0, ddof=1)
        varies = spread > _NO_SPREAD * size
        excess[i] = np.where(
            varies,
            difference / np.where(varies, spread, 1),
            np.where(difference == 0, 0, np.copysign(np.inf, difference)),
        )
        studentised = np.where(varies, error / np.where(varies, spread, 1), 0.0)  # never above the layer against itself
        studentised[:, i] = 0.0
        errors[i] = studentised.max(axis=1)
    return excess, errors


def _quantile(values: Floats, confidence: float) -> float:
    """The least of the values that is not exceeded by more than 1 - confidence of them."""
    index = math.ceil(confidence * values.size - 1e-6) - 1
    return float(np.partition(values, index)[index])
