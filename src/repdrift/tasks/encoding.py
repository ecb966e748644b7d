"""Text to token ids: one text, or a pair that the tokenizer separates or, where it cannot, that we do."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.files import Row
from repdrift.tasks.spec import TaskSpec

PAIR_SEPARATOR = "\n"
"""Between two texts where the tokenizer puts nothing between them (most decoders): else they would run together."""


TokenRow = Sequence[int]


def token_row(ids: Sequence[int]) -> TokenRow:
    """Token ids at four bytes each: as Python numbers a hundred thousand samples would take half a gigabyte."""
    return array("i", ids)


@dataclass(frozen=True)
class Encoded:
    """One sample's model input, not padded. `token_type_ids` is None where the model takes none."""

    input_ids: TokenRow
    token_type_ids: TokenRow | None
    truncated: bool


def separates_pairs(tokenizer: Any) -> bool:
    """Whether the tokenizer itself marks the border between the two texts of a pair."""
    return tokenizer.num_special_tokens_to_add(pair=True) > tokenizer.num_special_tokens_to_add(pair=False)


def encode_row(row: Row, spec: TaskSpec, tokenizer: Any, *, max_length: int) -> Encoded:
    """Tokenise the texts of one row, cut at `max_length` tokens (a pair: the longer text first; a context at its end).

    Raises DataError if nothing is left to encode.
    """
    texts = [row[column] for column in spec.text_columns]
    if len(texts) == 2 and not separates_pairs(tokenizer):
        texts = [texts[0] + PAIR_SEPARATOR + texts[1]]
    strategy = "only_second" if spec.kind == "extractive_qa" and len(texts) == 2 else "longest_first"
    try:
        output = tokenizer(*texts, truncation=strategy, max_length=max_length)
    except Exception as error:  # the tokenizer's own message: for example, a question alone fills max_length
        raise DataError(f"task {spec.name!r}: a text cannot be cut to {max_length} tokens ({error})") from error
    ids = list(output["input_ids"])
    if len(ids) > max_length:  # the tokenizer's own tokens alone are more
        raise DataError(
            f"task {spec.name!r}: a text cannot be cut to {max_length} tokens: with what the tokenizer adds, {len(ids)} are left"
        )
    if not ids:
        raise DataError(f"task {spec.name!r}: the text {texts[0]!r} has no tokens")
    types = output.get("token_type_ids")
    truncated = len(ids) >= max_length and len(tokenizer(*texts, verbose=False)["input_ids"]) > len(ids)
    return Encoded(token_row(ids), token_row(types) if types is not None else None, truncated)


def effective_max_length(tokenizer: Any, model_config: Any, requested: int | None) -> int:
    """The longest input allowed: what was asked for, at most what model and tokenizer can take.

    Raises DataError if more was asked for than the model can take, or less than one token.
    """
    limits = [
        int(limit)
        for limit in (
            getattr(model_config, "max_position_embeddings", None),
            getattr(tokenizer, "model_max_length", None),
        )
        if isinstance(limit, int) and 0 < limit < 10**9  # tokenizers without a limit carry a huge number
    ]
    limit = min(limits, default=None)
    if requested is None:
        return min(limit or 512, 512)
    if requested < 1:
        raise DataError(f"max_length must be at least 1 token, got {requested}")
    if limit is not None and requested > limit:
        raise DataError(f"max_length {requested} is more than the model's maximum of {limit} tokens")
    return requested
