import re

import numpy as np
import pytest

from repdrift.core.errors import ConfigError
from repdrift.statistics import calibration_limit, label_permutation_test


def test_a_group_of_one_is_not_studentised_and_asking_for_it_is_refused():
    assert label_permutation_test([1.0], [2.0, 3.0, 4.0]).studentised is None
    with pytest.raises(ConfigError, match="at least two values in every group"):
        label_permutation_test([1.0], [2.0, 3.0, 4.0], studentise=True)


def test_options_without_a_meaning_are_refused():
    with pytest.raises(ConfigError, match="n_permutations should be at least 1, got 0"):
        label_permutation_test([1, 2], [3, 4, 5], n_permutations=0)


def test_values_that_do_not_vary_tie_in_every_arrangement():
    found = label_permutation_test([0.1] * 3, [0.1] * 4)
    assert (found.studentised, found.pvalue) == (0.0, 1.0)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_groups_without_spread_are_infinitely_far_apart_whatever_their_scale(scale):
    found = label_permutation_test(scale * np.full(3, 0.1), scale * np.full(4, 0.3))
    assert found.studentised == -np.inf
    assert found.pvalue == found.smallest_pvalue == pytest.approx(1 / 35)


def test_a_shift_of_all_values_changes_nothing():
    g = np.random.default_rng(0)
    a, b = g.normal(size=3), g.normal(size=5)
    near, far = label_permutation_test(a, b), label_permutation_test(a + 1e4, b + 1e4)
    assert far.pvalue == near.pvalue
    assert far.studentised == pytest.approx(near.studentised, rel=1e-9)


@pytest.mark.parametrize("sizes", [[(3, 3)], [(5, 5)] * 4, [(3, 4)], [(5, 7)], [(3, 5)] * 4, [(5, 10)] * 4, [(1, 1)]])
def test_designs_that_keep_their_level_have_no_limit(sizes):
    assert calibration_limit(sizes) is None


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([(3, 10)], "3 against 10 trained models: .* 13 %"),
        ([(3, 10)] * 4, "13 %"),
        ([(5, 10)], "10 %"),
        ([(3, 5)], "10 %"),
        ([(3, 3), (1, 3)], "1 against 3 trained models: a single model shows no spread"),
    ],
)
def test_designs_that_have_to_assume_equal_spread_say_so(sizes, words):
    assert re.search(words, calibration_limit(sizes))
