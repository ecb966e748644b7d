"""Places of answers in their contexts: character `answer_start` of the context must begin the answer's text.

An answer that does not stand at its place is never trained on, since its span would point at other words. What it says is still an
accepted answer when predictions are scored, which needs no place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from repdrift.core.errors import DataError
from repdrift.core.words import counted
from repdrift.tasks.data_table import DataTable

Answers = Mapping[str, Sequence[Any]]
"""Accepted answers of one question: `text`, and `answer_start`, the number of the first character of each in the context, from 0."""

_SHOWN = 40


def stands(text: str, start: int, context: str) -> bool:
    """Tells whether the text begins at this character of the context."""
    return start >= 0 and context.startswith(text, start)


def places(answers: Answers, context: str) -> list[tuple[int, int]]:
    """Spans [start, end) of characters of the answers that stand at their places, in the order of the answers."""
    pairs = zip(answers["text"], answers["answer_start"], strict=True)
    return [(start, start + len(text)) for text, start in pairs if stands(text, start, context)]


def misplaced(answers: Answers, context: str) -> bool:
    """Tells whether a question has accepted answers, and none of them stands at its place."""
    return bool(answers["text"]) and not places(answers, context)


def place_notes(
    table: DataTable, kept: Sequence[int], answers: Sequence[Answers], contexts: Sequence[str]
) -> list[str]:
    """Says how many questions have no answer at its place, with the first of them and what may be wrong.

    kept: the row of the table that each question comes from. Raises DataError if that is so for every question with an answer.
    """
    wrong = [i for i, (found, context) in enumerate(zip(answers, contexts, strict=True)) if misplaced(found, context)]
    if not wrong:
        return []
    first, answerable = wrong[0], sum(bool(found["text"]) for found in answers)
    text, start = answers[first]["text"][0], answers[first]["answer_start"][0]
    said = (
        f"the answer {_short(text)} is not at character {start} of the context{_instead(text, start, contexts[first])}"
    )
    if len(wrong) == answerable:
        every = f" So it is with all {answerable} questions that have an answer." if answerable > 1 else ""
        raise DataError(
            f"{table.at(kept[first])}: {said}.{every} answer_start counts characters of the context as it stands, from 0."
        )
    return [
        f"{counted(len(wrong), 'question')} of {answerable} with an answer that does not stand at its place in the context; the first is "
        f"{table.unit} {table.numbers[kept[first]]}: {said}. Such questions are not trained on; where predictions are scored, their texts count."
    ]


def _instead(text: str, start: int, context: str) -> str:
    """Says what stands at the place, and where the answer is."""
    found = f", where {_short(context[start : start + len(text)])} stands" if 0 <= start < len(context) else ""
    causes = {
        "counted in bytes of UTF-8": context.encode("utf-8", "surrogatepass")[max(start, 0) :].startswith(text.encode("utf-8", "surrogatepass")),
        "counted in units of UTF-16": context.encode("utf-16-le", "surrogatepass")[2 * max(start, 0) :].startswith(text.encode("utf-16-le", "surrogatepass")),
        "counted from 1": stands(text, start - 1, context),
    }  # fmt: skip
    if start >= 0 and (cause := next((words for words, fits in causes.items() if fits), None)) is not None:
        return f"{found} (it is there if the place is {cause})"
    other = _same_in_another_form(text, context)
    if text not in context:
        return (
            f"{found} (the context holds it in another Unicode form)"
            if other
            else f"{found} (it is nowhere in the context)"
        )
    at = context.find(text)
    return f"{found} (it stands at character {at}{' and elsewhere' if context.find(text, at + 1) >= 0 else ''})"


def _same_in_another_form(text: str, context: str) -> bool:
    return unicodedata.normalize("NFC", text) in unicodedata.normalize("NFC", context)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
