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
    """The best by mean F1 of "no answer", the whole context, and the most common answer of these questions."""
    n = len(answers)
    common = Counter(accepted[0] for accepted in answers if accepted and _normalised(accepted[0])).most_common(1)
    candidates = {"no answer to every question": [""] * n, "the whole context for every question": list(contexts)}
    candidates |= {f"{_short(text)!r} for every question": [text] * n for text, _ in common}
    scored = [ConstantAnswer(words, squad_v2_scores(texts, answers).f1) for words, texts in candidates.items()]
    return max(scored, key=lambda constant: float(constant.f1.mean()))  # the first of equals


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


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
