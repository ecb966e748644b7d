"""Does this sentence answer the question? Made from the paragraphs of SQuAD 2.0, as QNLI is from those of SQuAD (Wang et al. 2018, section 3.3).

QNLI pairs a question with every sentence of its paragraph and leaves out pairs that share few words. Here a question stands in one pair alone,
so that rows differ in their questions, and nothing is left out for its words: half of the pairs hold the sentence with the answer, the others one
drawn from the other sentences of the same paragraph.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

_END_OF_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
# What stands before a full stop that ends no sentence: an initial, or one of the usual short forms. A sentence that does end so (`in the U.S.`)
# runs on into the next one.
_SHORT_FORM = re.compile(
    r"(?:\b[A-Z]|\b(?:Dr|Mr|Mrs|Ms|St|Prof|Gen|Sen|Rev|Jr|Sr|No|vs|ca|c|cf|approx|Inc|Ltd|Co|Mt|Fig|Vol))\.$"
)
# A shorter piece is a heading or a slip of the cut.
_FEWEST_WORDS = 4


def answer_sentences(questions: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """The rows of the task, one for each question that has an answer within one sentence and another sentence beside it.

    questions: rows of SQuAD 2.0 (id, question, context, answers). A row holds `question`, `sentence`, `label` (`answers` or `other`), `id` of
    the question, and `paragraph`, the same for all questions on one. Drawn by the id of the question: the same rows in any order of questions.
    """
    for row in questions:
        row_of = _row_of(row)
        if row_of is not None:
            yield row_of


def sentences(paragraph: str) -> list[tuple[int, int]]:
    """The first and the last place of every sentence in a paragraph. The last sentence ends where the paragraph does."""
    ends = [
        end
        for end in _END_OF_SENTENCE.finditer(paragraph)
        if not _SHORT_FORM.search(paragraph, max(0, end.start() - 10), end.start())
    ]
    starts = [0, *(end.end() for end in ends)]
    return list(zip(starts, [*(end.end() for end in ends), len(paragraph)], strict=True))


def _row_of(row: dict[str, Any]) -> dict[str, str] | None:
    answers, context = row["answers"], row["context"]
    if not len(answers["text"]):
        return None
    first = int(answers["answer_start"][0])
    last = first + len(answers["text"][0])
    places = sentences(context)
    texts = [context[start:end].strip() for start, end in places]
    with_answer = [text for text, (start, end) in zip(texts, places, strict=True) if start <= first and last <= end]
    if len(with_answer) != 1 or len(with_answer[0].split()) < _FEWEST_WORDS:
        return None
    said = [text.lower() for text in answers["text"]]
    others = [
        text
        for text in texts
        if len(text.split()) >= _FEWEST_WORDS and not any(answer in text.lower() for answer in said)
    ]
    if not others:
        return None
    answered = _drawn("label", row["id"]) % 2 == 0
    return {
        "question": row["question"].strip(),
        "sentence": with_answer[0] if answered else others[_drawn("sentence", row["id"]) % len(others)],
        "label": "answers" if answered else "other",
        "id": row["id"],
        "paragraph": hashlib.sha256(context.encode()).hexdigest()[:12],
    }


def _drawn(what: str, identity: str) -> int:
    return int(hashlib.sha256(f"{what}|{identity}".encode()).hexdigest()[:12], 16)
