"""Turns texts into token ids: one text or a pair. If the tokenizer does not separate a pair, this module does."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repdrift.core.errors import DataError
from repdrift.core.length_limit import LengthLimit
from repdrift.tasks.data_files import Row
from repdrift.tasks.spec import TaskSpec

PAIR_SEPARATOR = "\n"
"""Stands between two texts if the tokenizer puts nothing there (most decoders); else they would run together."""

MOST_SPECIAL_TOKENS = 16
"""More than any tokenizer adds to a text or to a pair."""

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


def described_row(row: Row, number: int, spec: TaskSpec) -> str:
    """Names a row of the data: by its id if it has one, and by its number, counted from 1, and its first words.

    number: counted from 0, among the rows that are used.
    """
    text = str(row[spec.text_columns[0]])
    named = f"sample {row[spec.id_column]!r}" if spec.id_column else f"row {number + 1} of those used"
    return f"{named} ({text[:40]!r}{'...' if len(text) > 40 else ''})"


def separates_pairs(tokenizer: Any) -> bool:
    """Tell whether the tokenizer marks the border between the two texts of a pair."""
    return tokenizer.num_special_tokens_to_add(pair=True) > tokenizer.num_special_tokens_to_add(pair=False)


class RowLeftOutError(DataError):
    """A row of which no input can be made at this length; the others are used, and it is counted."""


class QuestionTooLongError(RowLeftOutError):
    """A question that alone fills the input, so that nothing of its context would be read."""


def encode_row(row: Row, spec: TaskSpec, tokenizer: Any, *, max_length: int) -> Encoded:
    """Tokenise the texts of one row, cut to `max_length` tokens.

    Of a pair, the longer text is cut first; of a question with its context, only the context is cut. Texts are cut at their
    end unless the tokenizer's `truncation_side` says otherwise.
    Raises QuestionTooLongError if a question leaves no room for its context; DataError if the text has no tokens or cannot be
    cut to `max_length`.
    """
    texts = [row[column] for column in spec.text_columns]
    is_question = spec.kind == "extractive_qa" and len(texts) == 2
    joined = len(texts) == 2 and not separates_pairs(tokenizer)
    given = [texts[0] + PAIR_SEPARATOR + texts[1]] if joined else texts
    strategy = "only_second" if is_question and not joined else "longest_first"
    try:
        output = tokenizer(*given, truncation=strategy, max_length=max_length)
    except Exception as error:  # the tokenizer says why: for example, a question alone fills max_length
        if is_question and question_tokens(texts[0], tokenizer, joined=joined) >= max_length:
            raise _too_long(max_length) from error
        raise DataError(f"a text cannot be cut to {max_length} tokens ({error})") from error
    ids = list(output["input_ids"])
    if len(ids) > max_length and is_question:  # tokenizers in Python give back what they cannot cut
        raise _too_long(max_length)
    if len(ids) > max_length:  # the special tokens alone are more than that
        raise DataError(
            f"a text cannot be cut to {max_length} tokens: with the tokens that the tokenizer adds, {len(ids)} are left"
        )
    if not ids:
        raise DataError(f"the text {given[0]!r} has no tokens; leave it out, or give it a text")
    types = output.get("token_type_ids")
    truncated = len(ids) >= max_length and len(tokenizer(*given, verbose=False)["input_ids"]) > len(ids)
    if truncated and is_question and question_fills_input(texts[0], tokenizer, joined=joined, max_length=max_length):
        raise _too_long(max_length)
    return Encoded(token_ids(ids), token_ids(types) if types is not None else None, truncated)


def question_fills_input(question: str, tokenizer: Any, *, joined: bool, max_length: int) -> bool:
    """Tell whether a question leaves no room for its context. joined: as in `question_tokens`."""
    if len(question.encode("utf-8", "replace")) + MOST_SPECIAL_TOKENS < max_length:
        return False  # no tokenizer makes more tokens than bytes: most questions need not be tokenised for this
    return question_tokens(question, tokenizer, joined=joined) >= max_length


def question_tokens(question: str, tokenizer: Any, *, joined: bool) -> int:
    """Tokens of a question beside an empty context. joined: question and context are one text, with a separator."""
    if joined:
        return len(tokenizer(question + PAIR_SEPARATOR, verbose=False)["input_ids"])
    own = tokenizer(question, add_special_tokens=False, verbose=False)["input_ids"]
    return len(own) + tokenizer.num_special_tokens_to_add(pair=True)  # an empty context would count as none


def _too_long(max_length: int) -> QuestionTooLongError:
    return QuestionTooLongError(f"the question alone fills the {max_length} tokens of the input")


def effective_max_length(tokenizer: Any, limit: LengthLimit, requested: int | None) -> int:
    """Decide the longest allowed input, in tokens.

    limit: the model's. requested: None: what model and tokenizer advise, but at most 512. The tokenizer's own maximum and
    what the model was trained for are advice: more may be requested, and `length_notes` then says so.
    Raises DataError if `requested` is more than the model has positions for, or less than one token.
    """
    if requested is None:
        return min(n for n in (limit.advised, tokenizer_maximum(tokenizer), 512) if n is not None)
    if requested < 1:
        raise DataError(f"max_length must be at least 1 token, got {requested}")
    if limit.most is not None and requested > limit.most:
        raise DataError(
            f"max_length {requested} is more than the model's maximum of {limit.most} tokens ({limit.reason})"
        )
    return requested


def tokenizer_maximum(tokenizer: Any) -> int | None:
    """The `model_max_length` of a tokenizer, or None if it has none: a huge number stands there then."""
    most = getattr(tokenizer, "model_max_length", None)
    return int(most) if isinstance(most, int | float) and 0 < most < 10**9 else None


def length_notes(lengths: Sequence[int], truncated: int, tokenizer: Any, limit: LengthLimit) -> list[str]:
    """Sentences on samples that are longer than model or tokenizer advise, or were cut at their beginning.

    lengths: the number of tokens of each sample. truncated: how many samples were cut.
    """
    notes: list[str] = []
    longest = max(lengths, default=0)
    if limit.trained is not None and longest > limit.trained:
        beyond = sum(length > limit.trained for length in lengths)
        notes.append(
            f"{beyond} of {len(lengths)} samples are longer than the {limit.trained} tokens that the base model's configuration "
            f"names as its longest input (the longest has {longest}): what the model makes of the rest, it was not trained for."
        )
    elif (most := tokenizer_maximum(tokenizer)) is not None and longest > most:
        notes.append(
            f"The longest sample has {longest} tokens, as was asked for; the base model's tokenizer names {most} as the most "
            "(model_max_length), and the model itself takes more."
        )
    if truncated and getattr(tokenizer, "truncation_side", "right") == "left":
        notes.append(
            "Of texts that are too long the beginning was cut off, as the base model's tokenizer says (truncation_side)."
        )
    return notes
