"""General text cut to its first tokens, and where the row of each token lies."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property

from repdrift.tasks import SampleSet
from repdrift.tasks.encoding import token_ids


@dataclass(frozen=True)
class FirstTokens:
    """The first tokens of documents. samples: what a model runs, whose pooled tokens are the first ones of each document. causal: whether a
    token sees only those before it. positions: how many tokens of each document, at most.
    """

    samples: SampleSet
    causal: bool
    positions: int

    @cached_property
    def counts(self) -> list[int]:
        """Tokens of each document that are read."""
        return self.samples.pooled_lengths

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [], 0
        for count in self.counts:
            starts.append(at)
            at += count
        return starts

    def rows_at(self, position: int) -> list[int]:
        """Row numbers of the tokens at one position, of all documents that are so long."""
        return [start + position for start, count in zip(self._starts, self.counts, strict=True) if count > position]

    def beginnings_at(self, position: int) -> list[Hashable]:
        """The tokens that determine the state of each row of `rows_at`: up to this one, or all where tokens also see those behind them."""
        ids = self.samples.input_ids
        return [
            tuple(int(i) for i in (text[: position + 1] if self.causal else text))
            for text, count in zip(ids, self.counts, strict=True)
            if count > position
        ]


def first_tokens(general: SampleSet, positions: int, *, causal: bool) -> FirstTokens:
    """Returns the first `positions` tokens of every document; shorter ones whole.

    A causal model's states there do not depend on what follows, so that nothing else is run. Other models run whole documents, of which only these
    tokens become rows.
    """
    if causal:
        types = general.token_type_ids
        cut = replace(
            general,
            input_ids=tuple(ids[:positions] for ids in general.input_ids),
            token_type_ids=None if types is None else tuple(ids[:positions] for ids in types),
            truncated_samples=0,
        )
        return FirstTokens(cut, causal, positions)
    marks = tuple(token_ids([int(at < positions) for at in range(length)]) for length in general.lengths)
    return FirstTokens(replace(general, completion_masks=marks).over("completion"), causal, positions)
