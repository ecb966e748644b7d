"""Forgetting: how much worse a model predicts text than its base model did."""

from __future__ import annotations

from torch import Tensor

from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, TokenValues, register


@register
class Forgetting(TokenOutcome):
    """Loss of each token, -log p(token), of the tuned and of the base model; forgetting is its rise, tuned - base.

    Nats, 0 or more each; the rise is positive where the tuned model predicts worse. Source: cross-entropy, as language models are
    trained on it.
    """

    name = "forgetting"
    title = "Forgetting"
    unit = "nats per token"
    higher_is_better = False
    own_base = True

    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """Losses of both models, (m,) each."""
        return TokenValues(_loss(chunk.tuned, chunk.targets), _loss(chunk.base, chunk.targets))


def _loss(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    return -log_probabilities.gather(1, targets[:, None]).squeeze(1)
