"""Settings of a task of kind `causal_lm`: how a row becomes a text that a model continues, and how continuations are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

LossOn = Literal["completion", "last_turn", "all"]
"""The tokens that a model learns: those of the completions (of every assistant turn), of the last turn, or every token."""
ScorerName = Literal["exact_match", "contains", "numeric", "regex"]

NO_ANSWER = "unanswerable"
"""The completion of a row whose answers are an empty list, as SQuAD 2.0 has them."""
DEFAULT_NEW_TOKENS = 64


@dataclass(frozen=True)
class Continuation:
    """Says how rows become texts to continue. A chat has its turns in the task's only text column, and the task has no label column.

    template: for prompts, a text with `{column}` in it; for chats, a chat template (Jinja) instead of the tokenizer's. None: prompt and
    completion as they stand, or the tokenizer's chat template. loss_on: the tokens that are learnt. scorer: what greedy continuations
    are scored by; None means that nothing is generated. pattern: of the scorer `regex`. max_new_tokens: of a continuation at most.
    """

    template: str | None = None
    loss_on: LossOn = "completion"
    scorer: ScorerName | None = None
    pattern: str | None = None
    max_new_tokens: int = DEFAULT_NEW_TOKENS

    def for_training(self) -> dict[str, Any]:
        """The fields that change trained weights; one that has its usual value is left out."""
        given = {"template": self.template, "loss_on": None if self.loss_on == "completion" else self.loss_on}
        return {name: value for name, value in given.items() if value is not None}

    def for_scores(self) -> dict[str, Any]:
        """The fields that change scores alone; empty where nothing is generated."""
        if self.scorer is None:
            return {}
        pattern = {"pattern": self.pattern} if self.pattern is not None else {}
        return {"scorer": self.scorer, "max_new_tokens": self.max_new_tokens, **pattern}
