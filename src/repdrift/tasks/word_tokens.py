"""Words of a text, and the tokens of each: how two tokenizers are brought to rows of the same meaning."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import regex

from repdrift.core.errors import DataError
from repdrift.tasks.data_files import Row
from repdrift.tasks.encoding import PAIR_SEPARATOR, separates_pairs
from repdrift.tasks.spec import TaskSpec

_BOUNDARY = regex.compile(r"\b", regex.WORD | regex.V1)
"""Default word boundaries of Unicode (UAX 29): a contraction is one word, and each Chinese character."""
_COUNTED = frozenset("LNS")
"""Categories of characters that make a word: letters, numbers and symbols such as emoji. Punctuation and spaces alone are none."""


class Word(NamedTuple):
    """A word by its place: the number of its text column, and its first character and the one after its last."""

    column: int
    start: int
    end: int


@dataclass(frozen=True)
class WordTokens:
    """The tokens of each word of one text, as numbers in the input that the model reads.

    tokens: of words that the input holds whole. A token that lies over two words belongs to both. cut: words of which the input lacks a
    token, since the text is too long. without: words that the tokenizer makes no token of.
    """

    tokens: dict[Word, tuple[int, ...]]
    cut: int
    without: int


def words_in(text: str, column: int = 0) -> list[Word]:
    """The words of a text in order. Combining marks and joined emoji stay with the character before them."""
    places = sorted({0, len(text), *(match.start() for match in _BOUNDARY.finditer(text))})
    return [
        Word(column, a, b)
        for a, b in pairwise(places)
        if any(unicodedata.category(c)[0] in _COUNTED for c in text[a:b])
    ]


def word_tokens(row: Row, spec: TaskSpec, tokenizer: Any, input_ids: Sequence[int]) -> WordTokens:
    """Find the tokens of each word of one row. input_ids: as the model reads them, cut or not.

    Raises DataError if the tokenizer gives no character offsets, or the row's text is put together by a template.
    """
    require_offsets(tokenizer)
    if spec.kind == "causal_lm":
        raise DataError(
            "the texts of a task of kind causal_lm are put together by a template, so words have no place in them"
        )
    texts = [str(row[column]) for column in spec.text_columns]
    joined = len(texts) == 2 and not separates_pairs(tokenizer)
    words = [word for column, text in enumerate(texts) for word in words_in(text, column)]
    given = [texts[0] + PAIR_SEPARATOR + texts[1]] if joined else texts
    shift = len(texts[0]) + len(PAIR_SEPARATOR)
    whole = _spans(tokenizer(*given, return_offsets_mapping=True, verbose=False))
    read = whole
    if len(input_ids) < len(whole):
        strategy = "only_second" if spec.kind == "extractive_qa" and len(given) == 2 else "longest_first"
        read = _spans(tokenizer(*given, return_offsets_mapping=True, truncation=strategy, max_length=len(input_ids)))
    if len(read) != len(input_ids):
        raise DataError(
            f"the tokenizer makes {len(read)} tokens with offsets of a text, and {len(input_ids)} without them"
        )
    if all(span is None for span in read):
        raise DataError("the tokenizer gives no character offsets, which words need; take a row for each text instead")
    found: dict[Word, tuple[int, ...]] = {}
    cut = without = 0
    for word in words:
        place = (0, word.start + shift * word.column, word.end + shift * word.column) if joined else word
        over = [number for number, span in enumerate(read) if span is not None and _overlap(span, place)]
        wanted = Counter(span for span in whole if span is not None and _overlap(span, place))
        if not wanted:
            without += 1
        elif Counter(read[number] for number in over) != wanted:
            cut += 1
        else:
            found[word] = tuple(over)
    return WordTokens(found, cut, without)


def require_offsets(tokenizer: Any) -> None:
    """Raise DataError if a tokenizer gives no character offsets, as those written in Python do not."""
    if not getattr(tokenizer, "is_fast", False):
        raise DataError(
            f"the tokenizer ({type(tokenizer).__name__}) gives no character offsets, which words need; take a row for each text instead"
        )


_Span = tuple[int, int, int]


def _spans(encoded: Any) -> list[_Span | None]:
    """For each token its text and characters; None for tokens of no text, such as special ones, and of no character."""
    sequences, offsets = encoded.sequence_ids(0), encoded["offset_mapping"]
    return [
        None if sequence is None or start >= end else (sequence, start, end)
        for sequence, (start, end) in zip(sequences, offsets, strict=True)
    ]


def _overlap(span: _Span, word: tuple[int, int, int]) -> bool:
    return span[0] == word[0] and span[1] < word[2] and word[1] < span[2]
