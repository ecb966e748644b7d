"""Takes examples of a user's data out of sentences on how the data was read, where texts are not to be shown."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

from pydantic import BaseModel

_LITERAL = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
"""A text as `repr` writes it."""
_EXAMPLES = (
    (re.compile(rf"; the first is {_LITERAL}(?: and {_LITERAL})*(?=\.)"), ""),
    (re.compile(rf"; the first prompt ends with {_LITERAL}, and {_LITERAL} is to follow"), ""),
    (re.compile(rf"; the first begins with {_LITERAL}"), ""),
    (re.compile(rf", as in {_LITERAL} and {_LITERAL}(?=:)"), ""),
    (re.compile(rf"(: the answer) {_LITERAL}( is not at character \d+ of the context)"), r"\1\2"),
    (re.compile(rf"( of the context), where {_LITERAL} stands"), r"\1"),
    (re.compile(rf"{_LITERAL} \(id (\d+)\)"), r"id \1"),
    (re.compile(rf"{_LITERAL} for every question"), "the most common answer for every question"),
)
"""Where a sentence quotes a row, an answer or a token of a text, and what remains of it."""

_AS_GIVEN = frozenset({"configuration", "commands"})
"""Fields that quote what the user wrote, not rows of data."""

R = TypeVar("R", bound=BaseModel)


def without_examples(sentence: str) -> str:
    """Returns a sentence without texts that it quotes from the data; names of columns and files stay."""
    for pattern, remains in _EXAMPLES:
        sentence = pattern.sub(remains, sentence)
    return sentence


def record_without_examples(record: R) -> R:
    """Returns a record whose sentences, in all fields, are without texts that they quote from the data."""
    return type(record).model_validate(_walked(record.model_dump()))


def _walked(value: Any) -> Any:
    if isinstance(value, str):
        return without_examples(value)
    if isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        return {key: item if key in _AS_GIVEN else _walked(item) for key, item in fields.items()}
    if isinstance(value, (list, tuple)):
        return [_walked(item) for item in cast("list[Any]", value)]
    return value
