"""Jensen-Shannon divergence of what two models predict."""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, TokenValues, register

_LARGE = 30.0
"""Beyond this difference of log-probabilities, log((1 + exp(d)) / 2) is d - log 2 to float32's last digit."""


@register
class OutputJS(TokenOutcome):
    """Jensen-Shannon divergence of each token's two predictions: mean of KL(base || m) and KL(tuned || m), m their average.

    Nats, between 0 (exactly, where both predict alike) and log 2 = 0.693 (no token in common). Source: Lin 1991, eq. 4.1 with equal weights.
    Summed as (p a + q b) / 2, where a = log p - log m = -log((1 + exp(d)) / 2), b = log q - log m = a + d, d = log q - log p.
    """

    name = "output_js"
    title = "Jensen-Shannon divergence of outputs"
    unit = "nats per token"

    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """Divergences, (m,)."""
        d = chunk.difference
        terms = chunk.base.exp() * _log_ratio(d) + chunk.tuned.exp() * _log_ratio(-d)
        return TokenValues(terms.sum(dim=1).clamp_min(0) / 2)


def _log_ratio(d: Tensor) -> Tensor:
    """-log((1 + exp(d)) / 2), exactly 0 for 0 and without overflow."""
    near = d.clamp(max=_LARGE)
    return -torch.log1p(torch.expm1(near) / 2) - (d - near)
