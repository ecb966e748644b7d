"""The part of the training rows that choices rest on: by hash, whole groups together, never what is reported."""

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import Rows, TaskSpec
from repdrift.training.held_out_rows import hold_out

SPEC = TaskSpec("mine", "classification", ("a", "b"), "label", "mine", id_column="id")


def rows(n, a=lambda i: f"a{i}", b=lambda i: f"b{i}"):
    return Rows([{"id": f"r{i}", "a": a(i), "b": b(i), "label": i % 2} for i in range(n)], "here")


def ids(part):
    return [row["id"] for row in part.rows]


def test_parts_are_the_whole_and_the_choice_does_not_depend_on_the_order():
    whole = rows(100)
    split = hold_out(SPEC, whole, 0.2)
    assert sorted(ids(split.to_train) + ids(split.held_out)) == sorted(ids(whole))
    assert (len(split.held_out.rows), split.n_groups) == (20, 20)
    assert split.said == "20 of 100 training rows were held out, chosen by the hash of their ids"
    turned = hold_out(SPEC, Rows(list(reversed(whole.rows)), "here"), 0.2)
    assert set(ids(turned.held_out)) == set(ids(split.held_out))
    assert set(ids(split.held_out)) < set(ids(hold_out(SPEC, whole, 0.4).held_out))


def test_rows_that_share_a_text_stay_together():
    split = hold_out(SPEC, rows(60, a=lambda i: f"a{i // 3}"), 0.3)
    inside, outside = ({row["a"] for row in part.rows} for part in (split.held_out, split.to_train))
    assert not inside & outside
    turned = hold_out(SPEC, Rows(list(reversed(rows(60, a=lambda i: f"a{i // 3}").rows)), "here"), 0.3)
    assert set(ids(turned.held_out)) == set(ids(split.held_out))
    assert "18 of 60 training rows (6 groups of rows that share a text)" in split.said


def test_questions_on_one_context_stay_together_and_a_question_asked_of_many_joins_none():
    spec = TaskSpec("mine", "extractive_qa", ("a", "b"), "label", "mine", id_column="id")
    split = hold_out(spec, rows(60, a=lambda _: "who ?", b=lambda i: f"b{i // 2}"), 0.2)
    inside, outside = ({row["b"] for row in part.rows} for part in (split.held_out, split.to_train))
    assert not inside & outside
    assert split.n_groups == 6


def test_a_few_instructions_for_many_texts_do_not_tie_all_rows_together():
    split = hold_out(SPEC, rows(60, a=lambda i: f"instruction {i % 2 if i < 50 else 0}"), 0.2)
    assert len(split.held_out.rows) == 12


def test_rows_that_stand_among_the_validation_rows_are_never_held_out():
    whole = rows(40)
    reported = whole.rows[:25]
    split = hold_out(SPEC, whole, 0.25, never=[{**row, "id": "other"} for row in reported])
    assert not set(ids(split.held_out)) & {row["id"] for row in reported}
    with pytest.raises(DataError, match="40 groups of them stand among the validation rows too"):
        hold_out(SPEC, whole, 0.25, never=whole.rows)


@pytest.mark.parametrize(("n", "share"), [(10, 0.2), (12, 0.9)])
def test_too_few_rows_are_an_error_that_says_what_is_needed(n, share):
    with pytest.raises(DataError, match=r"at least 4 of each are needed\. Give more rows"):
        hold_out(SPEC, rows(n), share)
