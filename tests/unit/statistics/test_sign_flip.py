import numpy as np
import pytest

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.sign_flip import sign_flip_test


def test_missing_pairs_are_refused_by_place():
    with pytest.raises(NonFiniteError, match=r"differences\[1\] is nan: a missing run must be left out"):
        sign_flip_test([1, np.nan])
    with pytest.raises(ShapeError, match="list of at least one value"):
        sign_flip_test([])
    with pytest.raises(ShapeError, match=r"got shape \(2, 2\)"):
        sign_flip_test(np.ones((2, 2)))


def test_options_without_a_meaning_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'greater'"):
        sign_flip_test([1, 2], alternative="great")
    with pytest.raises(ConfigError, match="n_flips should be at least 1, got 0"):
        sign_flip_test([1, 2], n_flips=0)
    with pytest.raises(ShapeError, match="strata should label every difference: expected 2, got 3"):
        sign_flip_test([1, 2], strata=[*"xyz"])


def test_all_arrangements_are_visited_up_to_the_limit_and_no_further():
    differences = np.arange(1.0, 5)
    assert sign_flip_test(differences, n_flips=16).exact
    assert not sign_flip_test(differences, n_flips=15).exact


def test_labels_of_strata_need_not_be_strings_and_their_order_does_not_matter():
    differences = [-0.2, -0.5, 0.1, -0.3]
    found = sign_flip_test(differences, strata=[1, 1, 1, 2])
    assert found.statistic == pytest.approx((-0.2 - 0.3) / 2)
    again = sign_flip_test(differences[::-1], strata=["b", "a", "a", "a"])
    assert (found.statistic, found.pvalue) == (pytest.approx(again.statistic), again.pvalue)
