"""One question with its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repdrift.core.records.results import HypothesisTest

State = Literal["yes", "no", "open"]
_STATES: dict[str, State] = {"supported": "yes", "rejected": "no", "undecided": "open", "not testable": "open"}
_SHORT = {"supported": "Yes.", "rejected": "No.", "undecided": "Undecided.", "not testable": "Cannot be tested."}


@dataclass(frozen=True)
class Point:
    """One question with its answer. `state` says which way it went."""

    question: str
    short: str
    text: str
    state: State


def tested(question: str, test: HypothesisTest) -> Point:
    """The answer of a test, in the analysis's words."""
    return Point(question, _SHORT[test.verdict], test.sentence, _STATES[test.verdict])


def part_of_all(part: int, whole: int) -> tuple[str, State]:
    """The short answer, and its state, where a question holds in so many of so many cases."""
    if part == whole:
        return "Yes.", "yes"
    return ("No.", "no") if part == 0 else ("In part.", "open")
