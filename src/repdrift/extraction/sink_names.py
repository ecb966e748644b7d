"""The text of the tokens that are attention sinks most often."""

from __future__ import annotations

from repdrift.core.errors import RepdriftError
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.models import ModelSource, load_tokenizer


def named_sinks(sinks: SinkTokens, base: ModelSource) -> SinkTokens:
    """Returns `sinks` with the text of its most common tokens; without a tokenizer that can be read they stay numbers."""
    if not sinks.most_common:
        return sinks
    try:
        tokenizer = load_tokenizer(base)
    except RepdriftError:
        return sinks
    named = [count.model_copy(update={"text": tokenizer.decode([count.token_id])}) for count in sinks.most_common]
    return sinks.model_copy(update={"most_common": named})
