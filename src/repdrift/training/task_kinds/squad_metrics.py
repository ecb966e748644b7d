"""Exact match and F1 of SQuAD 2.0 (Rajpurkar et al. 2018), over all, answerable and unanswerable questions."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_v2_metrics(predicted: Sequence[str], answers: Sequence[Sequence[str]]) -> dict[str, float]:
    """Score predicted texts against the accepted answers of each question.

    An empty prediction means "no answer"; a question without accepted answers is unanswerable.
    Returns `exact_match`, `f1`, `answerability_accuracy` and, if there are such questions, `answerable_f1` and
    `unanswerable_accuracy`; all are fractions in [0, 1].
    """
    exact = [_best(_exact, text, accepted) for text, accepted in zip(predicted, answers, strict=True)]
    f1 = [_best(_token_f1, text, accepted) for text, accepted in zip(predicted, answers, strict=True)]
    answerable = [bool(accepted) for accepted in answers]
    said = [bool(text) for text in predicted]
    scores = {
        "exact_match": _mean(exact),
        "f1": _mean(f1),
        "answerability_accuracy": _mean([float(a == s) for a, s in zip(answerable, said, strict=True)]),
    }
    if any(answerable):
        scores["answerable_f1"] = _mean([score for score, has in zip(f1, answerable, strict=True) if has])
    if not all(answerable):
        scores["unanswerable_accuracy"] = _mean(
            [score for score, has in zip(exact, answerable, strict=True) if not has]
        )
    return scores


def _best(score: Callable[[str, str], float], text: str, accepted: Sequence[str]) -> float:
    candidates = [answer for answer in accepted if _normalised(answer)] or [""]
    return max(score(text, answer) for answer in candidates)


def _exact(text: str, answer: str) -> float:
    return float(_normalised(text) == _normalised(answer))


def _token_f1(text: str, answer: str) -> float:
    found, expected = _normalised(text).split(), _normalised(answer).split()
    if not found or not expected:
        return float(found == expected)
    common = sum((Counter(found) & Counter(expected)).values())
    return 2 * common / (len(found) + len(expected))


def _normalised(text: str) -> str:
    without = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(without.split())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
