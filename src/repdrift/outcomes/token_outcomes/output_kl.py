"""Kullback-Leibler divergence of what the tuned model predicts from what the base model predicts."""

from __future__ import annotations

import torch

from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, TokenValues, register

_SMALL = 0.01
"""Below this difference of log-probabilities, a series is more exact in float32 than exp(d) - 1 - d."""


@register
class OutputKL(TokenOutcome):
    """KL(base || tuned) of each token's prediction: sum over the vocabulary of p (log p - log q), p the base model's.

    Nats, 0 or more; 0 exactly where both predict alike. Summed as p (exp(d) - 1 - d) with d = log q - log p, which is the same since
    p and q sum to 1: every term is 0 or more and of second order in d, so that a float32 error of the normaliser, about 1e-6, does not
    show (the plain sum would be wrong by as much, and could be negative). Each range of d takes the form that loses fewest digits.
    """

    name = "output_kl"
    title = "KL divergence of outputs"
    unit = "nats per token"

    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """Divergences, (m,)."""
        d, p, q = chunk.difference, chunk.base.exp(), chunk.tuned.exp()
        series = p * d.square() * (0.5 + d / 6 + d.square() / 24)
        usual = torch.where(d < 1, p * (torch.expm1(d.clamp(max=1)) - d), q - p - p * d)
        terms = torch.where(d.abs() < _SMALL, series, usual)
        return TokenValues(terms.sum(dim=1))
