"""McNemar's exact test against statsmodels and the binomial law, and its form for items in groups against brute force."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats import contingency_tables

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics import mcnemar_test


def answers(lost, won, both=5, neither=3):
    first = np.repeat([1, 0, 1, 0], [lost, won, both, neither])
    second = np.repeat([0, 1, 1, 0], [lost, won, both, neither])
    return first, second


@pytest.mark.parametrize(("lost", "won"), [(1, 7), (7, 1), (4, 4), (0, 12), (30, 11)])
def test_it_is_the_two_sided_binomial_test_of_the_items_that_differ(lost, won):
    found = mcnemar_test(*answers(lost, won))
    assert (found.lost, found.won, found.n_groups, found.exact) == (lost, won, None, True)
    assert found.pvalue == pytest.approx(min(1.0, 2 * binom.cdf(min(lost, won), lost + won, 0.5)))
    assert found.pvalue == pytest.approx(contingency_tables.mcnemar([[5, lost], [won, 3]], exact=True).pvalue)


def test_models_that_never_differ_have_p_1():
    found = mcnemar_test(*answers(0, 0))
    assert (found.pvalue, found.smallest_pvalue) == (1.0, 1.0)


def test_groups_of_one_item_are_mcnemar_itself():
    first, second = answers(2, 9)
    alone, grouped = mcnemar_test(first, second), mcnemar_test(first, second, list(range(first.size)))
    assert grouped == alone


def test_items_in_groups_flip_together():
    g = np.random.default_rng(0)
    first, second = g.integers(0, 2, size=(2, 40))
    groups = np.repeat(np.arange(8), 5)
    found = mcnemar_test(first, second, groups.tolist())
    sums = [int((second - first)[groups == group].sum()) for group in range(8)]
    flipped = [abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=8)]
    assert found.pvalue == pytest.approx(np.mean([value >= abs(sum(sums)) for value in flipped]))
    assert found.n_groups == 8
    copies = mcnemar_test(np.repeat(first, 3), np.repeat(second, 3), np.repeat(groups, 3).tolist())
    assert copies.pvalue == pytest.approx(found.pvalue), "copies of items in their groups are no further evidence"


def test_what_is_no_answer_is_refused():
    with pytest.raises(ShapeError, match="should be"):
        mcnemar_test([1, 0], [1])
    with pytest.raises(NonFiniteError, match="right .1. or wrong .0."):
        mcnemar_test([1, 0.5], [1, 0])


def test_a_group_for_each_item_is_needed():
    with pytest.raises(ShapeError, match="one label for each of 2 items, got 4"):
        mcnemar_test([1, 0], [0, 1], ["a", "b", "a", "b"])
