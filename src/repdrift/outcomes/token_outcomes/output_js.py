"""Jensen-Shannon divergence of what two models predict."""

from __future__ import annotations

import torch

from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, TokenValues, register

_LARGE = 30.0
"""Beyond this difference of log-probabilities, log((1 + exp(d)) / 2) is d - log 2 to float32's last digit."""


@register
class OutputJS(TokenOutcome):
    """Jensen-Shannon divergence of each token's two predictions: mean of KL(base || m) and KL(tuned || m), m their average.

    Nats, between 0 (exactly, where both predict alike) and log 2 = 0.693 (no token in common). Source: Lin 1991, eq. 4.1 with equal weights.
    Summed as ((p + q) a + q d) / 2, where a = log p - log m = -log((1 + exp(d)) / 2), log q - log m = a + d, d = log q - log p.
    """

    name = "output_js"
    title = "Jensen-Shannon divergence of outputs"
    unit = "nats per token"

    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """Divergences, (m,)."""
        d, p, q = chunk.difference, chunk.base_probabilities, chunk.tuned_probabilities
        near = d.clamp(max=_LARGE)
        ratio = torch.expm1(near).div_(2).log1p_().add_(d).sub_(near)  # -a; beyond the limit it grows as d
        terms = (p + q).mul_(ratio).neg_().addcmul_(q, d)
        return TokenValues(terms.sum(dim=1).clamp_min_(0) / 2)
