"""Kullback-Leibler divergence of predicted distributions, from the base's point of view."""

from __future__ import annotations

import math

from torch import Tensor

from repdrift.similarity.measure import register
from repdrift.similarity.predictions import Divergence, LogProbabilities, kl_divergences


@register
class KlDivergence(Divergence):
    """Mean over samples of KL(p_x || p_y) = sum p_x log(p_x / p_y), in nats; x is the base."""

    name = "kl_divergence"
    title = "KL divergence, base to tuned"
    description = "Mean of sum p log(p/q) over classes, p of the base and q of the tuned model, in nats; not symmetric."
    bounds = (0.0, math.inf)
    reference = "Kullback and Leibler 1951"
    invariances = frozenset()
    cost = "n classes"
    symmetric = False
    streaming = "needs logits, of both models side by side"

    def by_sample(self, x: LogProbabilities, y: LogProbabilities) -> Tensor:
        """KL(p_x || p_y) of each sample, in nats: (n,)."""
        return kl_divergences(x, y)
