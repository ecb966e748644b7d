"""The points of an answer: questions, each with a short answer and the sentence behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from repdrift.core.records.claims import HypothesisTest

State = Literal["yes", "no", "open"]
_STATES: dict[str, State] = {"supported": "yes", "rejected": "no", "undecided": "open", "not testable": "open"}
_SHORT = {"supported": "Yes.", "rejected": "No.", "undecided": "Undecided.", "not testable": "Cannot be tested."}


@dataclass(frozen=True)
class Point:
    """One question with its answer. state: whether the answer is yes, no or open."""

    question: str
    short: str
    text: str
    state: State


def tested(question: str, test: HypothesisTest) -> Point:
    """A test as a point, in the words of the analysis."""
    return Point(question, _SHORT[test.verdict], test.sentence, _STATES[test.verdict])


def compared(question: str, test: HypothesisTest, *, unsure: bool) -> Point:
    """A test of two methods as a point. unsure: it rests on models of which it is not known whether they have learnt."""
    point = tested(question, test)
    if unsure and point.state != "open":
        return replace(point, short=f"{point.short[:-1]}, if the models have learnt their tasks.", state="open")
    return point


def part_of_all(part: int, whole: int) -> tuple[str, State]:
    """The short answer and its state for a question that holds in `part` of `whole` cases."""
    if part == whole:
        return "Yes.", "yes"
    return ("No.", "no") if part == 0 else ("In part.", "open")
