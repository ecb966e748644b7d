"""Vocabularies of two heads: which column of one stands for which column of the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from repdrift.core.errors import ModelError, OutcomeNotApplicable
from repdrift.models import ModelSource, load_tokenizer, tokenizer_digests
from repdrift.tasks import SampleSet

_ASK = "Compared on the tokens that both have only if asked (common_tokens)"


@dataclass(frozen=True)
class Columns:
    """Columns of the logits that are compared.

    kept: (k,) ids that stand for one token in both vocabularies; None where all do. note: a sentence, where not all are compared.
    """

    kept: np.ndarray | None = None
    note: str | None = None


def compared_columns(
    base: ModelSource, tuned: ModelSource, samples: SampleSet, base_rows: int, tuned_rows: int, *, common_tokens: bool
) -> Columns:
    """Decides which tokens are compared.

    base_rows, tuned_rows: of the heads, rows that only pad a vocabulary included. common_tokens: compare those that both have.
    Raises OutcomeNotApplicable if the vocabularies differ and that was not asked for, or the samples hold tokens that are not
    common.
    """
    other = _other_tokens(base, tuned, min(base_rows, tuned_rows))
    if base_rows == tuned_rows and not other.size:
        return Columns()
    differ = (
        f"the vocabularies differ: the base model's head has {base_rows:,} rows, the tuned one's {tuned_rows:,}"
        if base_rows != tuned_rows
        else f"the vocabularies differ: {other.size:,} of {base_rows:,} ids stand for another token in the tuned model's tokenizer"
    )
    if not common_tokens:
        raise OutcomeNotApplicable(f"{differ}. {_ASK}.")
    kept = np.setdiff1d(np.arange(min(base_rows, tuned_rows)), other)
    used = np.unique(np.concatenate([np.asarray(ids, dtype=np.int64) for ids in samples.input_ids]))
    alien = np.setdiff1d(used, kept)
    if alien.size:
        raise OutcomeNotApplicable(
            f"{differ}, and the texts hold {alien.size:,} tokens that are not common (the first: id {alien[0]}), so that the models do "
            "not read the same texts"
        )
    return Columns(
        kept, f"Compared on {kept.size:,} common tokens, whose probabilities are made to sum to 1: {differ}."
    )


def _other_tokens(base: ModelSource, tuned: ModelSource, rows: int) -> np.ndarray:
    """Ids below `rows` that the two tokenizers name otherwise; none where the tuned model has no tokenizer of its own."""
    if tuned.is_adapter or not (tuned.gguf_file or tuned.has_tokenizer_files):
        return np.array([], dtype=np.int64)
    if tokenizer_digests(base) == tokenizer_digests(tuned):
        return np.array([], dtype=np.int64)
    try:
        ours, theirs = _by_id(load_tokenizer(base)), _by_id(load_tokenizer(tuned))
    except (
        ModelError
    ):  # a tokenizer that cannot be read says nothing of the head, which was trained on the base model's tokens
        return np.array([], dtype=np.int64)
    return np.array(
        [number for number, token in ours.items() if number < rows and theirs.get(number, token) != token],
        dtype=np.int64,
    )


def _by_id(tokenizer: Any) -> dict[int, str]:
    return {number: token for token, number in tokenizer.get_vocab().items()}
