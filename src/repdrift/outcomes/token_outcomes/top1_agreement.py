"""Top-1 agreement: whether two models name the same token first."""

from __future__ import annotations

from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, TokenValues, register


@register
class Top1Agreement(TokenOutcome):
    """1 where the most probable token is the same in both models, else 0; its mean is the share of tokens, 1 for equal models."""

    name = "top1_agreement"
    title = "Top-1 agreement of outputs"
    unit = "share of tokens"

    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """Agreement, (m,) of 0 and 1."""
        return TokenValues((chunk.base.argmax(dim=1) == chunk.tuned.argmax(dim=1)).to(chunk.base.dtype))
