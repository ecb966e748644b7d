"""Turns texts into token ids: one text or a pair. If the tokenizer does not separate a pair, this module does."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repdrift.core.errors import DataError
from repdrift.tasks.data_files import Row
from repdrift.tasks.spec import TaskSpec

PAIR_SEPARATOR = "\n"
"""Stands between two texts if the tokenizer puts nothing there (most decoders); else they would run together."""

TokenIds = Sequence[int]


def token_ids(ids: Sequence[int]) -> TokenIds:
    """Store token ids in four bytes each: as Python numbers, a hundred thousand samples would take half a gigabyte."""
    return array("i", ids)


@dataclass(frozen=True)
class Encoded:
    """The model input of one sample, not padded. `token_type_ids` is None if the model takes none."""

    input_ids: TokenIds
    token_type_ids: TokenIds | None
    truncated: bool


def separates_pairs(tokenizer: Any) -> bool:
    """Tell whether the tokenizer marks the border between the two texts of a pair."""
    return tokenizer.num_special_tokens_to_add(pair=True) > tokenizer.num_special_tokens_to_add(pair=False)


def encode_row(row: Row, spec: TaskSpec, tokenizer: Any, *, max_length: int) -> Encoded:
    """Tokenise the texts of one row, cut to `max_length` tokens.

    Of a pair, the longer text is cut first; of a question with its context, only the context is cut.
    Raises DataError if the text has no tokens or cannot be cut to `max_length`.
    """
    texts = [row[column] for column in spec.text_columns]
    if len(texts) == 2 and not separates_pairs(tokenizer):
        texts = [texts[0] + PAIR_SEPARATOR + texts[1]]
    strategy = "only_second" if spec.kind == "extractive_qa" and len(texts) == 2 else "longest_first"
    try:
        output = tokenizer(*texts, truncation=strategy, max_length=max_length)
    except Exception as error:  # the tokenizer says why: for example, a question alone fills max_length
        raise DataError(f"task {spec.name!r}: a text cannot be cut to {max_length} tokens ({error})") from error
    ids = list(output["input_ids"])
    if len(ids) > max_length:  # the special tokens alone are more than that
        raise DataError(
            f"task {spec.name!r}: a text cannot be cut to {max_length} tokens: with the tokens that the tokenizer adds, {len(ids)} are left"
        )
    if not ids:
        raise DataError(f"task {spec.name!r}: the text {texts[0]!r} has no tokens")
    types = output.get("token_type_ids")
    truncated = len(ids) >= max_length and len(tokenizer(*texts, verbose=False)["input_ids"]) > len(ids)
    return Encoded(token_ids(ids), token_ids(types) if types is not None else None, truncated)


def effective_max_length(tokenizer: Any, model_config: Any, requested: int | None) -> int:
    """Decide the longest allowed input, in tokens.

    requested: None: what model and tokenizer can take, but at most 512.
    Raises DataError if `requested` is more than the model can take, or less than one token.
    """
    limits = [
        int(limit)
        for limit in (
            getattr(model_config, "max_position_embeddings", None),
            getattr(tokenizer, "model_max_length", None),
        )
        if isinstance(limit, int) and 0 < limit < 10**9  # a tokenizer without a limit has a huge number there
    ]
    limit = min(limits, default=None)
    if requested is None:
        return min(limit or 512, 512)
    if requested < 1:
        raise DataError(f"max_length must be at least 1 token, got {requested}")
    if limit is not None and requested > limit:
        raise DataError(f"max_length {requested} is more than the model's maximum of {limit} tokens")
    return requested
