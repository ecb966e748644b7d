import time
from decimal import Decimal
from typing import Any

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks.continuation import Continuation
from repdrift.training.task_kinds import continuation_scorers
from repdrift.training.task_kinds.continuation_scorers import best_constant, last_number, scorer_of


def scorer(**settings):
    found = scorer_of(Continuation(**settings))
    assert found is not None
    return found


def scored(text, answers, **settings):
    return bool(scorer(**settings).scores([text], [answers])[0])


def test_no_scorer_unless_one_is_asked_for():
    assert scorer_of(Continuation()) is None


@pytest.mark.parametrize("name", ["exact_match", "contains"])
def test_best_constant_answer_is_that_of_all_texts_that_could_be_written(name):
    answers = [
        ["A b", "c"],
        ["unanswerable"],
        ["c"],
        ["The c."],
        ["unanswerable"],
        ["d", "d", "e"],
        ["x c"],
        ["unanswerable"],
    ]
    text, scores = best_constant(scorer(scorer=name), answers)
    every = {each for accepted in answers for each in accepted}
    right = {each: sum(scored(each, accepted, scorer=name) for accepted in answers) for each in every}
    assert right[text] == max(right.values()) == scores.sum()
    assert scores.tolist() == [float(scored(text, accepted, scorer=name)) for accepted in answers]


@pytest.mark.parametrize(
    ("text", "answers", "exact", "contains"),
    [
        ("The Denver Broncos.", ["Denver Broncos"], True, True),
        ("It was the denver  broncos", ["Denver Broncos", "Broncos"], False, True),
        ("Denverbroncos", ["Denver"], False, False),
        ("carthage", ["art"], False, False),
        ("C++ it is", ["C++"], False, True),
        ("Broncos", ["Panthers", "Broncos"], True, True),
        ("", ["x"], False, False),
        ("unanswerable", ["unanswerable"], True, True),
    ],
)
def test_texts_are_compared(text, answers, exact, contains):
    assert scored(text, answers, scorer="exact_match") is exact
    assert scored(text, answers, scorer="contains") is contains


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3 + 4 = 7.", "7"), ("1,234.50 euro", "1234.50"), ("it is -3", "-3"), ("$5", "5"), ("10-3", "3"), ("1/2", "2"),
        ("2e3!", "2000"), ("none", None), ("version a1", None), (".5", "0.5"), ("12,34", "34"), ("\u22124 degrees", "-4"), ("3.14.", "3.14"),
    ],
)  # fmt: skip
def test_last_number_is_found(text, number):
    assert last_number(text) == (None if number is None else Decimal(number))


def test_numbers_are_compared_with_a_tolerance():
    assert scored("about 0.3333333", ["#### 0.33333333"], scorer="numeric")
    assert scored("1,000,000", ["1000000.5"], scorer="numeric")
    assert not scored("0.34", ["0.33"], scorer="numeric")
    assert not scored("no idea", ["4"], scorer="numeric")
    with pytest.raises(DataError, match="row 2 of the evaluation rows has the answer 'four', which holds no number"):
        scorer(scorer="numeric").require_answers([["4"], ["four"]])


def test_pattern_compares_what_it_finds_last():
    settings: Any = {"scorer": "regex", "pattern": r"answer: (\w+)"}
    assert scored("answer: no, answer: yes", ["answer: yes"], **settings)
    assert not scored("yes", ["answer: yes"], **settings)
    assert scored("x = 4", ["so 4"], scorer="regex", pattern=r"\d+")
    with pytest.raises(DataError, match="finds nothing in the answer 'yes' of row 1"):
        scorer(**settings).require_answers([["yes"]])
    with pytest.raises(DataError, match="is no pattern"):
        scorer_of(Continuation(scorer="regex", pattern="("))


def test_pattern_that_would_take_for_ever_is_stopped_and_said(monkeypatch, capsys):
    monkeypatch.setattr(continuation_scorers, "PATTERN_TIMEOUT_S", 0.05)
    start = time.perf_counter()
    assert not scored("a" * 60 + "b", ["x"], scorer="regex", pattern=r"x|^(a|aa|a?a)+$")
    assert time.perf_counter() - start < 5
    assert "took more than 0.05 s in 1 search; they count as finding nothing" in capsys.readouterr().err
