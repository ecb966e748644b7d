"""Jensen-Shannon divergence of predicted distributions: like KL, but symmetric and bounded."""

from __future__ import annotations

from torch import Tensor

from repdrift.similarity.measure import register
from repdrift.similarity.predictions import Divergence, LogProbabilities, jensen_shannon_divergences


@register
class JensenShannon(Divergence):
    """Mean over samples of [KL(p || m) + KL(q || m)] / 2 with m = (p + q) / 2, in bits.

    The divergence itself, not its square root, which is a metric: a mean of square roots would weigh tiny changes up.
    """

    name = "jensen_shannon"
    title = "Jensen-Shannon divergence"
    description = "Mean divergence of the softmax distributions from their middle, in bits; 1 = no class in common."
    bounds = (0.0, 1.0)
    reference = "Lin 1991, with equal weights"
    invariances = frozenset()
    cost = "n classes"
    streaming = "needs logits, of both models side by side"

    def by_sample(self, x: LogProbabilities, y: LogProbabilities) -> Tensor:
        """The divergence of each sample, in bits: (n,)."""
        return jensen_shannon_divergences(x, y)
