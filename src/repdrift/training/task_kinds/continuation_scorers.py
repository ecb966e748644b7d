"""Scorers of what a model writes behind a prompt: each tells whether a continuation is right, from the accepted answers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Protocol

import numpy as np
import regex
from numpy.typing import NDArray

from repdrift.core.errors import DataError
from repdrift.core.progress import say
from repdrift.core.words import counted
from repdrift.tasks.continuation import Continuation
from repdrift.training.task_kinds.squad_metrics import squad_v2_scores

TOLERANCE = Decimal("1e-6")
"""Relative difference up to which two numbers are equal; below 1 it is absolute."""
PATTERN_TIMEOUT_S = 1.0
"""Seconds for one search of a user's pattern: patterns exist that take years on a text of one line."""
_MOST_TRIED = 20
"""Texts that are tried for the best constant answer."""
_NUMBER = regex.compile(
    r"(?<![\w.])[-+\u2212]?\$?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3})?(?!\d)"
)


class ContinuationScorer(Protocol):
    """Scores continuations against the accepted answers of their rows."""

    def require_answers(self, answers: Sequence[Sequence[str]]) -> None:
        """Raises DataError, naming the first row, if the answers are not of a kind that this scorer can find anywhere."""
        ...

    def scores(self, texts: Sequence[str], answers: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """1 for each right continuation, 0 for each other one: (n,)."""
        ...


def scorer_of(continuation: Continuation) -> ContinuationScorer | None:
    """The scorer that a task asks for; None if it asks for none."""
    if continuation.scorer == "exact_match":
        return ExactMatch()
    if continuation.scorer == "contains":
        return Contains()
    if continuation.scorer == "numeric":
        return Numeric()
    return PatternMatch(continuation.pattern or "") if continuation.scorer == "regex" else None


def best_constant(scorer: ContinuationScorer, answers: Sequence[Sequence[str]]) -> tuple[str, NDArray[np.float64]]:
    """The text that is right for the most rows when it is written for every one of them, and its scores: (n,).

    Tried are the commonest accepted answers, `_MOST_TRIED` of them.
    """
    counts = Counter(text for accepted in answers for text in dict.fromkeys(accepted))
    tried = [(text, scorer.scores([text] * len(answers), answers)) for text, _ in counts.most_common(_MOST_TRIED)]
    return max(tried, key=lambda each: float(each[1].mean()))


class ExactMatch:
    """The continuation is an accepted answer, without case, punctuation, articles and extra spaces, as SQuAD scores it."""

    def require_answers(self, answers: Sequence[Sequence[str]]) -> None:
        """Takes any answer."""

    def scores(self, texts: Sequence[str], answers: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """1 for each right continuation, 0 for each other one: (n,)."""
        return squad_v2_scores(texts, answers).exact_match


class Contains:
    """The continuation holds an accepted answer as whole words; case and extra spaces do not matter."""

    def require_answers(self, answers: Sequence[Sequence[str]]) -> None:
        """Takes any answer."""

    def scores(self, texts: Sequence[str], answers: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """1 for each right continuation, 0 for each other one: (n,)."""
        return _each(texts, answers, lambda text, answer: _holds(_plain(text), _plain(answer)))


class Numeric:
    """The last number of the continuation is the last number of an accepted answer, see last_number() and TOLERANCE."""

    def require_answers(self, answers: Sequence[Sequence[str]]) -> None:
        """Raises DataError, naming the first row, if no accepted answer of a row holds a number."""
        for row, accepted in enumerate(answers):
            if all(last_number(answer) is None for answer in accepted):
                raise DataError(
                    f"scorer numeric: row {row + 1} of the evaluation rows has the answer {accepted[0][:60]!r}, which holds no number. Take the row out, "
                    "or another scorer (exact_match, contains, regex)."
                )

    def scores(self, texts: Sequence[str], answers: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """1 for each right continuation, 0 for each other one: (n,)."""
        return _each(texts, answers, lambda text, answer: _same(last_number(text), last_number(answer)))


class PatternMatch:
    """The pattern finds the same last in the continuation and in an accepted answer: its first group, or the whole match.

    A search that takes more than PATTERN_TIMEOUT_S counts as finding nothing, and is said.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = compiled(pattern)
        self._too_long = 0

    def require_answers(self, answers: Sequence[Sequence[str]]) -> None:
        """Raises DataError, naming the first row, if the pattern finds nothing in any accepted answer of a row."""
        for row, accepted in enumerate(answers):
            if all(self._found(answer) is None for answer in accepted):
                raise DataError(
                    f"scorer regex: the pattern {self._pattern.pattern!r} finds nothing in the answer {accepted[0][:60]!r} of row {row + 1} of the "
                    f"evaluation rows{', or takes too long' if self._too_long else ''}, so that no continuation could be right. Change the pattern, or "
                    "take the row out."
                )

    def scores(self, texts: Sequence[str], answers: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """1 for each right continuation, 0 for each other one: (n,)."""
        self._too_long = 0
        wanted = [{found for answer in accepted if (found := self._found(answer)) is not None} for accepted in answers]
        right = np.array([float(self._found(text) in them) for text, them in zip(texts, wanted, strict=True)])
        if self._too_long:
            say(
                f"note: the pattern {self._pattern.pattern!r} took more than {PATTERN_TIMEOUT_S:g} s in {counted(self._too_long, 'search', 'searches')}; "
                "they count as finding nothing."
            )
        return right

    def _found(self, text: str) -> str | None:
        try:
            matches = list(self._pattern.finditer(text, timeout=PATTERN_TIMEOUT_S))
        except TimeoutError:
            self._too_long += 1
            return None
        if not matches:
            return None
        found = matches[-1].group(1 if self._pattern.groups else 0)
        return found.strip() if found is not None else None


def compiled(pattern: str) -> regex.Pattern[str]:
    """The compiled pattern. Raises DataError if it is none."""
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise DataError(f"scorer regex: {pattern!r} is no pattern ({error})") from error


def last_number(text: str) -> Decimal | None:
    """The last number in a text, such as 1,234.5, -3, $5 or 2e3; None if there is none. Commas group thousands."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        return Decimal(found[-1].replace(",", "").replace("$", "").replace("\u2212", "-"))
    except InvalidOperation:
        return None


def _same(found: Decimal | None, wanted: Decimal | None) -> bool:
    if found is None or wanted is None:
        return False
    return abs(found - wanted) <= TOLERANCE * max(Decimal(1), abs(wanted))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _holds(text: str, answer: str) -> bool:
    """True if `answer` stands in `text` with no letter or digit right before or behind it."""
    at = text.find(answer)
    while answer and at >= 0:
        before, behind = text[at - 1 : at] if at else "", text[at + len(answer) : at + len(answer) + 1]
        if not (before.isalnum() and answer[0].isalnum()) and not (behind.isalnum() and answer[-1].isalnum()):
            return True
        at = text.find(answer, at + 1)
    return False


def _each(
    texts: Sequence[str], answers: Sequence[Sequence[str]], is_right: Callable[[str, str], bool]
) -> NDArray[np.float64]:
    return np.array(
        [
            float(any(is_right(text, answer) for answer in accepted))
            for text, accepted in zip(texts, answers, strict=True)
        ]
    )
