"""The difference of an outcome between two methods, over trained models and evaluation items at once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.confidence import Interval, student_quantile, upper_level
from repdrift.core.errors import ShapeError
from repdrift.statistics.grouped_mean import grouped_mean
from repdrift.statistics.mean_over_models import LEAST_MODELS, variance_over_items


@dataclass(frozen=True)
class ScoreDifference:
    """The mean of the first method minus that of the second. over: what the interval is over, `models and items` or `items, for these models`.

    n_groups: groups of items. interval: None if items are too few, and then `missing` says why.
    """

    difference: float
    n_groups: int
    interval: Interval | None
    over: str
    missing: str


def score_difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> ScoreDifference:
    """Compare an outcome of two methods, whose models were measured on the same n items.

    first: (R, n), second: (S, n) floats. groups, weights: of the items, as grouped_mean() takes them; whole groups are drawn anew. The difference
    is paired over items, so that items which are hard for all models do not widen its interval. The squared error is the variance between models
    of each method / its number of models, plus that part of the variance over items which the models of a method have in common: the spread
    between models holds each model's own part already. Student's t has Satterthwaite's degrees of freedom. With fewer than 3 models of a
    method the interval is over items alone, for these models. The variance over items is the jackknife's over groups, which is the limit of
    the bootstrap over groups with many resamples, without its noise.
    Raises what grouped_mean() raises; ShapeError unless both are (models, items) with the same items and at least one model.
    Source: as mean_over_models(); the decomposition is that of hierarchical_reduction().
    """
    arms = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    if any(x.ndim != 2 or len(x) == 0 for x in arms) or arms[0].shape[1] != arms[1].shape[1]:
        raise ShapeError(
            f"values should have the shape (models, items), with the same items: got {arms[0].shape} and {arms[1].shape}"
        )
    paired = arms[0].mean(axis=0) - arms[1].mean(axis=0)
    of_mean = grouped_mean(paired, groups, weights=weights, confidence=confidence)
    fewest = min(map(len, arms))
    alone = of_mean.interval is None or fewest < LEAST_MODELS
    if alone:
        return ScoreDifference(
            of_mean.mean, of_mean.n_groups, of_mean.interval, "items, for these models", of_mean.missing
        )
    between: list[float] = []
    freedoms: list[float] = []
    own = 0.0
    for x in arms:
        means = [grouped_mean(row, groups, weights=weights, confidence=confidence).mean for row in x]
        between.append(float(np.var(means, ddof=1)) / len(x))
        freedoms.append(len(x) - 1.0)
        single = float(np.mean([variance_over_items(row, groups, weights) for row in x]))
        own += max(0.0, (single - variance_over_items(x.mean(axis=0), groups, weights)) / (len(x) - 1))
    common = max(0.0, variance_over_items(paired, groups, weights) - own)
    parts = [*between, common]
    total = sum(parts)
    if total == 0:
        return ScoreDifference(
            of_mean.mean, of_mean.n_groups, Interval(of_mean.mean, of_mean.mean), "models and items", ""
        )
    freedom = total**2 / sum(
        v**2 / f for v, f in zip(parts, [*freedoms, max(of_mean.n_groups - 1.0, 1.0)], strict=True)
    )
    reach = student_quantile(upper_level(confidence), freedom) * math.sqrt(total)
    return ScoreDifference(
        of_mean.mean, of_mean.n_groups, Interval(of_mean.mean - reach, of_mean.mean + reach), "models and items", ""
    )
