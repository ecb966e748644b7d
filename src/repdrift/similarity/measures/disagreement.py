"""Disagreement: how often two models do not predict the same class."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.measure import ISOTROPIC_SCALING, Interval, register
from repdrift.similarity.predictions import PredictionMeasure, TopClasses, require_same_classes, top_classes
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.sample_intervals import mean_without_one, student_quantile


@register
class Disagreement(PredictionMeasure):
    """The share of samples whose largest logit lies at another class.

    Where classes tie for the largest logit of a sample, as they do in 16 bits, the prediction is the set of them: two models
    agree if their sets are equal. So the order of classes plays no part, and a model agrees with itself.
    """

    name = "disagreement"
    title = "disagreement of classes"
    description = (
        "Share of samples for which the two models predict different classes; a tie counts as its own prediction."
    )
    bounds = (0.0, 1.0)
    reference = "Madani et al. 2004; interval: Wilson 1927"
    invariances = frozenset({ISOTROPIC_SCALING})
    cost = "n classes"
    streaming = "needs logits, of which sums keep no largest one"

    def derive(self, representation: Representation) -> TopClasses:
        """The predicted class of each sample."""
        return representation.shared(top_classes)

    def compare(self, x: TopClasses, y: TopClasses) -> float:
        """Share of samples with different predictions."""
        return _different(x, y) / x.n

    def without_one(self, x: TopClasses, y: TopClasses) -> NDArray[np.float64] | None:
        """Shares of one sample less."""
        require_same_classes(x.is_top, y.is_top)
        return mean_without_one((x.is_top != y.is_top).any(dim=1).cpu().numpy().astype(np.float64))

    def interval(self, x: TopClasses, y: TopClasses, confidence: float = 0.95) -> Interval | None:
        """Wilson's interval of a share. Raises ConfigError unless 0 < confidence < 1."""
        student_quantile(x.n, confidence)  # for its check of the confidence
        n, hits = x.n, _different(x, y)
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        return Interval(_lowest_share(hits, n, z), 1 - _lowest_share(n - hits, n, z))


def _lowest_share(hits: int, n: int, z: float) -> float:
    """The lower end for `hits` of n at z standard errors; exactly 0 for none. The upper end is that of the misses."""
    return (2 * hits + z * z - z * math.sqrt(z * z + 4 * hits * (1 - hits / n))) / (2 * (n + z * z))


def _different(x: TopClasses, y: TopClasses) -> int:
    require_same_classes(x.is_top, y.is_top)
    return int((x.is_top != y.is_top).any(dim=1).sum())
