"""Takes examples of a user's data out of sentences on how the data was read, where texts are not to be shown."""

from __future__ import annotations

import re

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
)
"""Where a sentence quotes a row, an answer or a token of a text, and what remains of it."""


def without_examples(sentence: str) -> str:
    """Returns a sentence without texts that it quotes from the data; names of columns and files stay."""
    for pattern, remains in _EXAMPLES:
        sentence = pattern.sub(remains, sentence)
    return sentence
