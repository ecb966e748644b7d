"""Attention sinks of a sample set: the tokens that the sink-aware mean leaves out, found on the base model."""

from __future__ import annotations

from repdrift.core.records.base import Record


class TokenCount(Record):
    """One token of the vocabulary among the sinks. text: None where no tokenizer was at hand."""

    token_id: int
    text: str | None
    count: int


class SinkSummary(Record):
    """The number of sinks in a sample set, where they are, and how clear the choice was.

    A token is a sink if, after some block of the base model, its norm is more than `ratio_limit` times the lower quartile
    of its sample's norms. Below, the ratio of a token is the largest over the blocks.
    """

    ratio_limit: float
    digest: str
    """SHA-256 over the sample numbers and positions of all sinks."""
    samples: int
    tokens: int
    """Tokens of all samples, sinks among them."""
    sinks: int
    samples_with_sinks: int
    at_first_token: int
    """Sinks that are the first token of their sample."""
    most_common: list[TokenCount]
    """The most frequent tokens of the vocabulary among the sinks, at most five."""
    largest_ratio_kept: float | None
    """The nearest token below the limit; null if no ratio is finite."""
    smallest_ratio_left_out: float | None
    """The nearest token above the limit; null if there is no sink."""
    samples_of_one_token: int
    """These cannot lose their only token, whatever its norm is."""
    samples_all_sinks: int
    """Samples in which every token was above the limit: the one with the smallest ratio was kept."""

    def without_token_texts(self) -> SinkSummary:
        """Returns the summary with the ids of tokens alone."""
        bare = [count.model_copy(update={"text": None}) for count in self.most_common]
        return self.model_copy(update={"most_common": bare})


class SinkTokens(SinkSummary):
    """The sinks of every sample: one mask for every layer and every model that is compared on these samples."""

    sample_set_fingerprint: str
    positions: list[list[int]]
    """For each sample the sinks, numbered among its real tokens from 0."""

    def summary(self) -> SinkSummary:
        """These facts without the positions."""
        return SinkSummary(**self.model_dump(exclude={"sample_set_fingerprint", "positions"}))
