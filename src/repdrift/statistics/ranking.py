"""Which layers drift most, and how sure that is: from replicates of the drifts of all layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError, ShapeError
from repdrift.statistics.arrangements import Floats, finite
from repdrift.statistics.ranks import mid_ranks, rank_ranges
from repdrift.statistics.tables import finite_table

REPLICATES_BEYOND = 10
"""Replicates beyond a critical value, at least: fewer, and it is known from a handful of draws."""
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class LayerRanking:
    """Layers in order of drift, with the uncertainty of the order; arrays are (L,), rank 1 is the largest drift.

    rank: of the estimates; equal ones share the mean of their ranks. largest_share, top_share: share of replicates in
    which the layer is the largest, or among the `top` largest; equal ones divide the place among them, so that the sums
    are 1 and `top`. They describe the replicates, and are no p-values. rank_low, rank_high: intervals that hold the
    ranks of all layers at once. largest_set: columns, from 0, that hold the layer with the largest drift. Both at
    `confidence`.
    """

    rank: Floats
    largest_share: Floats
    top_share: Floats
    rank_low: NDArray[np.int64]
    rank_high: NDArray[np.int64]
    largest_set: tuple[int, ...]
    top: int
    confidence: float
    n_replicates: int


def rank_layers(replicates: ArrayLike, estimate: ArrayLike, *, top: int = 3, confidence: float = 0.95) -> LayerRanking:
    """Rank layers by drift.

    replicates: (B, L), one row per resample, shared by all layers; estimate: (L,), of the samples themselves.
    Replicates over samples give a ranking that is conditional on the trained models.

    A layer is in `largest_set` unless some layer exceeds it significantly: the largest studentised difference, over all
    others, against that of its replicates. A rank's ends count the layers that exceed it and that it exceeds, all pairs
    bounded at once. Standard errors of differences come from the replicates; a pair whose difference does not vary in
    them is decided by that difference. Quantiles of replicates of a rank are not given: where drifts lie close together
    they do not cover.
    Raises ShapeError unless there are two layers at least and as many as estimates, NonFiniteError for NaN or Inf,
    ConfigError unless 0 < confidence < 1 and 1 <= top <= L, or for fewer than 10 replicates beyond the critical value
    (200 for 0.95).
    Source: Mogstad, Romano, Shaikh and Wilhelm 2024. Departure: single-step; differences by bootstrap, not by sampling.
    """
    values, centre = finite_table(replicates, "replicates"), finite(estimate, "estimate")
    n_replicates, layers = values.shape
    if centre.size != layers or layers < 2:
        raise ShapeError(
            f"replicates should have one column for each of at least two layers: {values.shape}, with {centre.size} estimates"
        )
    if not 1 <= top <= layers:
        raise ConfigError(f"top should lie between 1 and the number of layers, {layers}; got {top}")
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence lies between 0 and 1, such as 0.95; got {confidence}")
    needed = math.ceil(REPLICATES_BEYOND / (1 - confidence) - 1e-6)  # rounding of 1 - 0.95 must not ask for 201
    if n_replicates < needed:
        raise ConfigError(f"a confidence of {confidence:g} needs at least {needed} replicates; got {n_replicates}")
    first, last = rank_ranges(-values)
    greater, equal = first - 1, last - first + 1
    excess, over_all, over_own = _excesses(values, centre)
    critical = _quantile(over_all, confidence)
    exceeds = excess > critical  # [i, j]: layer j exceeds layer i
    return LayerRanking(
        rank=mid_ranks(-centre[None])[0],
        largest_share=np.clip((1 - greater) / equal, 0, 1).mean(axis=0),
        top_share=np.clip((top - greater) / equal, 0, 1).mean(axis=0),
        rank_low=1 + exceeds.sum(axis=1),
        rank_high=layers - exceeds.sum(axis=0),
        largest_set=tuple(i for i in range(layers) if excess[i].max() <= _quantile(over_own[i], confidence)),
        top=top,
        confidence=confidence,
        n_replicates=n_replicates,
    )


def _excesses(values: Floats, centre: Floats) -> tuple[Floats, Floats, Floats]:
    """Studentised differences, and the largest errors of theirs in each replicate.

    Returns excess (L, L), [i, j] = (drift of j - drift of i) / its standard error; the largest error over all pairs
    (B,); and over the pairs of each i (L, B).
    """
    layers = centre.size
    excess = np.empty((layers, layers))
    over_own = np.empty((layers, len(values)))
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
        over_own[i] = studentised.max(axis=1)
    return excess, over_own.max(axis=0), over_own


def _quantile(values: Floats, confidence: float) -> float:
    """The least of the values that is not exceeded by more than 1 - confidence of them."""
    place = math.ceil(confidence * values.size - 1e-6) - 1
    return float(np.partition(values, place)[place])
