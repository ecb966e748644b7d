"""Exact match and F1 of SQuAD 2.0 (Rajpurkar et al. 2018), over all, answerable and unanswerable questions."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_ANSWER = 0.3
_PLACES = {
    "at the beginning": 0.0,
    "in the first half": 0.25,
    "in the middle": 0.5,
    "in the second half": 0.75,
    "at the end": 1.0,
}
_SHOWN = 40
"""Characters of an answer that are shown."""
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class SquadScores:
    """Exact match and F1 of each question, (n,) each, in [0, 1]; and over all of them in `metrics`, see squad_v2_scores()."""

    exact_match: NDArray[np.float64]
    f1: NDArray[np.float64]
    metrics: dict[str, float]


def squad_v2_scores(predicted: Sequence[str], answers: Sequence[Sequence[str]]) -> SquadScores:
    """Score predicted texts against the accepted answers of each question.

    An empty prediction means "no answer"; a question without accepted answers is unanswerable. The metrics are
    `exact_match`, `f1`, `answerability_accuracy` and, if there are such questions, `answerable_exact_match`,
    `answerable_f1` and `unanswerable_accuracy`; all are fractions in [0, 1].
    """
    exact = np.array([_best(_exact, text, accepted) for text, accepted in zip(predicted, answers, strict=True)])
    f1 = np.array([_best(_token_f1, text, accepted) for text, accepted in zip(predicted, answers, strict=True)])
    answerable = np.array([bool(accepted) for accepted in answers])
    said = np.array([bool(text) for text in predicted])
    metrics = {
        "exact_match": float(exact.mean()),
        "f1": float(f1.mean()),
        "answerability_accuracy": float((answerable == said).mean()),
    }
    if answerable.any():
        metrics["answerable_exact_match"] = float(exact[answerable].mean())
        metrics["answerable_f1"] = float(f1[answerable].mean())
    if not answerable.all():
        metrics["unanswerable_accuracy"] = float(exact[~answerable].mean())
    return SquadScores(exact, f1, metrics)


@dataclass(frozen=True)
class ConstantAnswer:
    """An answer that looks at no question. words: for people. f1: (n,) of each question."""

    words: str
    f1: NDArray[np.float64]


def best_constant_answer(contexts: Sequence[str], answers: Sequence[Sequence[str]]) -> ConstantAnswer:
    """The best by mean F1 of the answers that look at no question, chosen on these questions themselves.

    They are "no answer", the most common answer, the whole context, and 10, 20 or 40 words of every context at one place: a model that
    points anywhere has an F1 of about 0.1 on questions that have an answer. Those from contexts are tried where "no answer" is right for
    fewer than 30 % of the questions, since they do not reach that.
    """
    n = len(answers)
    common = Counter(accepted[0] for accepted in answers if accepted and _normalised(accepted[0])).most_common(1)
    candidates = {"no answer to every question": [""] * n}
    candidates |= {f"{_short(text)!r} for every question": [text] * n for text, _ in common}
    if sum(not accepted for accepted in answers) < _WITHOUT_ANSWER * n:
        words = [context.split() for context in contexts]
        candidates["the whole context for every question"] = list(contexts)
        candidates |= {
            f"{length} words {place} of the context for every question": [_part(w, length, share) for w in words]
            for place, share in _PLACES.items()
            for length in (10, 20, 40)
        }
    distinct = [{tuple(found) for answer in those if (found := _tokens(answer))} or {()} for those in answers]
    accepted = [[Counter(answer) for answer in those] for those in distinct]
    scored = [ConstantAnswer(words, _best_f1(texts, accepted)) for words, texts in candidates.items()]
    return max(scored, key=lambda constant: float(constant.f1.mean()))  # the first of equals


def _best_f1(texts: Sequence[str], accepted: Sequence[Sequence[Counter[str]]]) -> NDArray[np.float64]:
    """F1 of each text with the nearest of its accepted answers, (n,), of which the words are counted."""
    found = [Counter(_tokens(text)) for text in texts]
    return np.array([max(_f1(words, answer) for answer in those) for words, those in zip(found, accepted, strict=True)])


def _part(words: Sequence[str], length: int, share: float) -> str:
    """So many words, with this share of the other words before them."""
    start = round(share * max(0, len(words) - length))
    return " ".join(words[start : start + length])


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _best(score: Callable[[str, str], float], text: str, accepted: Sequence[str]) -> float:
    candidates = [answer for answer in accepted if _normalised(answer)] or [""]
    return max(score(text, answer) for answer in candidates)


def _exact(text: str, answer: str) -> float:
    return float(_normalised(text) == _normalised(answer))


def _tokens(text: str) -> list[str]:
    return _normalised(text).split()


def _token_f1(text: str, answer: str) -> float:
    return _f1(Counter(_tokens(text)), Counter(_tokens(answer)))


def _f1(found: Counter[str], expected: Counter[str]) -> float:
    if not found or not expected:
        return float(found == expected)
    common = sum(min(count, found[word]) for word, count in expected.items() if word in found)
    return 2 * common / (found.total() + expected.total())


def _normalised(text: str) -> str:
    without = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(without.split())
