import numpy as np
import pytest

from repdrift.core.errors import NonFiniteError
from repdrift.training.scores import Scored, Written, compared_with_constant, rows_sharing_a_text


def _scored(items, constant, groups=None, metric="accuracy"):
    items, constant = np.asarray(items, float), np.asarray(constant, float)
    return Scored({metric: 0.0}, metric, items, constant, "'b' for every row", groups)


def _ends(found):
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_model_that_beats_the_majority_class_has_learnt():
    found = compared_with_constant(_scored([1] * 90 + [0] * 10, [1] * 50 + [0] * 50))
    assert (found.score, found.constant_score, found.difference) == pytest.approx((0.9, 0.5, 0.4))
    assert (found.n_items, found.n_groups, found.learnt) == (100, 100, True)
    low, high = _ends(found)
    assert 0.2 < low < 0.4 < high < 0.6
    assert found.sentence.endswith("it has learnt its task.")


def test_model_at_chance_has_not_learnt_whatever_its_score():
    right = np.arange(100) < 95
    found = compared_with_constant(_scored(np.roll(right, 3), right))  # 95 % right, like the majority class
    assert found.difference == 0
    low, high = _ends(found)
    assert low < 0 < high
    assert found.learnt is False


def test_constant_answer_itself_has_not_learnt():
    found = compared_with_constant(_scored([1, 0] * 20, [1, 0] * 20))
    assert (found.difference, found.low, found.high, found.learnt) == (0, None, None, False)
    assert "different in 0 of 40 rows" in found.sentence  # and no interval of no width


def test_rows_right_by_luck_are_too_few_to_show_anything():
    constant = np.zeros(200)
    five, six = constant.copy(), constant.copy()
    five[:5], six[:6] = 1, 1
    assert compared_with_constant(_scored(five, constant)).learnt is False  # 5 of 5 better: p = 1/32
    assert "different in 5 of 200 rows" in compared_with_constant(_scored(five, constant)).sentence
    assert compared_with_constant(_scored(six, constant)).learnt is True  # 6 of 6: p = 1/64


def _written(right, constant, groups=None):
    """A model whose loss fell by 2 nats in each row, and what it writes."""
    n = len(right)
    written = Written(
        "exact_match", np.asarray(right, float), np.asarray(constant, float), "'unanswerable' for every row"
    )
    return Scored({}, "loss", -np.ones(n), -3 * np.ones(n), "the base model", groups, written=written)


def test_lower_loss_is_not_enough_where_what_is_written_is_no_better_than_one_text():
    right = np.arange(100) < 52
    found = compared_with_constant(_written(np.roll(right, 2), right))  # "unanswerable" for about every row
    assert found.learnt is False
    assert found.difference == pytest.approx(2)
    assert found.written is not None
    assert (found.written.score, found.written.constant_score, found.written.learnt) == (0.52, 0.52, False)
    assert found.sentence.startswith(
        "loss 1.000, and 3.000 for the best constant answer (the base model): a gain of 2.000"
    )
    assert (
        "; and what it writes: exact_match 0.520, and 0.520 for the best constant answer ('unanswerable' for every row): a gain of"
        in found.sentence
    )
    assert found.sentence.endswith("has not learnt its task.")
    assert found.sentence.count("learnt") == 1


def test_both_must_be_shown():
    right = np.arange(100) < 52
    assert compared_with_constant(_written(np.arange(100) < 90, right)).learnt is True
    scored = _written(np.arange(100) < 90, right)
    worse = Scored({}, "loss", scored.constant, scored.items, "the base model", written=scored.written)  # the loss rose
    assert compared_with_constant(worse).learnt is False
    few = _written(np.arange(100) < 90, right, [str(i % 9) for i in range(100)])
    assert compared_with_constant(few).learnt is None


def test_few_groups_leave_it_unknown_and_say_so():
    items = np.ones(900)
    found = compared_with_constant(_scored(items, 1 - items, [str(i % 9) for i in range(900)]))
    assert (found.learnt, found.low, found.high, found.n_groups) == (None, None, None, 9)
    assert "an interval needs 10 at least: not known whether it has learnt" in found.sentence
    assert compared_with_constant(_scored(items, 1 - items, [str(i % 10) for i in range(900)])).learnt is True
    assert compared_with_constant(_scored(items[:9], 1 - items[:9])).learnt is None


def test_lower_loss_is_better():
    found = compared_with_constant(_scored(-np.linspace(1.0, 1.2, 50), -np.full(50, 2.0), metric="loss"))
    assert (found.score, found.constant_score, found.difference) == pytest.approx((1.1, 2.0, 0.9))
    assert found.learnt is True


def test_score_that_is_no_number_is_refused():
    with pytest.raises(NonFiniteError, match="1 of 20"):
        compared_with_constant(_scored([np.nan, *[1] * 19], [0] * 20))


def test_rows_that_share_a_text_belong_together():
    assert rows_sharing_a_text([["a", "b", "c"]]) is None
    assert rows_sharing_a_text([["a", "b", "a"]]) == ["0", "1", "0"]
    chained = rows_sharing_a_text([["a", "a", "b", "c"], ["x", "y", "y", "z"]]) or []
    assert len(set(chained[:3])) == 1
    assert chained[3] not in chained[:3]
    assert rows_sharing_a_text([["one question"] * 3, ["x", "y", "z"]]) is None
    assert rows_sharing_a_text([["one text"] * 3]) == ["0", "0", "0"]
