"""Kullback-Leibler divergence of what the tuned model predicts from what the base model predicts."""

from __future__ import annotations

import torch

from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, TokenValues, register


@register
class OutputKL(TokenOutcome):
    """KL(base || tuned) of each token's prediction: sum over the vocabulary of p (log p - log q), p the base model's.

    Nats, 0 or more; 0 exactly where both predict alike. Summed as p (exp(d) - 1 - d) with d = log q - log p, which is the same since
    p and q sum to 1: every term is 0 or more and of second order in d, so that a float32 error of the normaliser, about 1e-6, does not
    show (the plain sum would be wrong by as much, and could be negative).
    """

    name = "output_kl"
    title = "KL divergence of outputs"
    unit = "nats per token"

    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """Divergences, (m,)."""
        d, p, q = chunk.difference, chunk.base_probabilities, chunk.tuned_probabilities
        terms = torch.expm1(d).sub_(d).mul_(p)
        large = d > 1  # there exp(d) may overflow while p is 0, and q is the exact product
        if bool(large.any()):
            terms = torch.where(large, q - p - p * d, terms)
        return TokenValues(terms.sum(dim=1).clamp_min_(0))
