"""Equivalence within a factor against scipy, the tests it is made of, and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics import label_permutation_test
from repdrift.statistics.equivalence import equivalence_test


def _scipys(x, y, alternative):
    return stats.permutation_test(
        (x, y),
        lambda u, v, axis: u.mean(axis) - v.mean(axis),
        alternative=alternative,
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue


def _groups(seed, m=5, k=4):
    g = np.random.default_rng(seed)
    return 1 + 0.1 * g.normal(size=m), 1.05 + 0.1 * g.normal(size=k)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("factor", [1.02, 1.1, 1.25])
def test_equivalence_within_a_factor_is_the_larger_of_scipys_two_tests(seed, factor):
    a, b = _groups(seed)
    found = equivalence_test(a, b, factor=factor, studentise=False)
    assert found.ratio == pytest.approx(a.mean() / b.mean())
    assert found.pvalue == pytest.approx(max(_scipys(a, factor * b, "less"), _scipys(factor * a, b, "greater")))
    beyond = min(_scipys(a, factor * b, "greater"), _scipys(factor * a, b, "less"))
    assert found.opposite_pvalue == pytest.approx(min(1, 2 * beyond))
    assert (found.exact, found.n_permutations, found.n_units) == (True, 126, 9)


def test_equivalence_does_not_depend_on_which_group_is_named_first():
    a, b = _groups(5)
    one, other = (equivalence_test(*pair, factor=1.1) for pair in ((a, b), (b, a)))
    assert (one.pvalue, one.opposite_pvalue) == (pytest.approx(other.pvalue), pytest.approx(other.opposite_pvalue))


def test_strata_and_draws_are_those_of_the_label_permutation_test():
    g = np.random.default_rng(6)
    strata = [*"xxxyyyy", *"yyyxxxx"]
    a = np.array([0.5] * 3 + [0.2] * 4) + 0.02 * g.normal(size=7)
    b = np.array([0.2] * 3 + [0.5] * 4) + 0.02 * g.normal(size=7)
    options = {"strata": strata, "n_permutations": 800, "seed": 3}
    found = equivalence_test(a, b, factor=1.2, **options)
    expected = max(
        label_permutation_test(a, 1.2 * b, alternative="less", **options).pvalue,
        label_permutation_test(1.2 * a, b, alternative="greater", **options).pvalue,
    )
    assert (found.pvalue, found.exact, found.n_permutations) == (expected, False, 800)
    assert found.smallest_pvalue == pytest.approx(1 / 801)


def test_smallest_pvalue_is_what_the_best_data_give():
    near = equivalence_test([1, 1.01, 1.02], [1, 1.01, 1.02], factor=10)
    assert near.pvalue == near.smallest_pvalue == pytest.approx(1 / 20)
    far = equivalence_test([101, 102, 103], [1, 2, 3], factor=10)
    assert far.opposite_pvalue == pytest.approx(2 / 20)


# Calibration: at the factor neither the claim nor its opposite holds. 5 against 5: 12/252 is the largest p up to 0.05.

_TRIALS, _ATTAINABLE = 600, 12 / 252


def _between(count, rate):
    low, high = stats.binom.interval(0.999, _TRIALS, rate)
    return low <= count <= high


@pytest.mark.parametrize("side", [1, -1])
def test_groups_exactly_at_the_factor_are_called_equivalent_at_the_attainable_rate(side):
    g = np.random.default_rng(10 + side)
    supported = rejected = 0
    for _ in range(_TRIALS):
        x, y = 1 + 0.1 * g.normal(size=(2, 5))
        found = equivalence_test(x * 2.0**side, y, factor=2.0)
        supported += found.pvalue <= 0.05
        rejected += found.pvalue > 0.05 >= found.opposite_pvalue
    assert _between(supported, _ATTAINABLE)
    assert _between(rejected, 6 / 252), "the opposite has to reach half of alpha: it is tested on two sides"


def test_groups_exactly_at_a_narrow_factor_are_rejected_no_more_often_than_said():
    g, shift = np.random.default_rng(12), np.array([[1e-3], [0.0]])
    found = [equivalence_test(*(10 + g.normal(size=(2, 5)) + shift), factor=1.0001) for _ in range(_TRIALS)]
    assert _between(sum(f.opposite_pvalue <= 0.05 for f in found), 2 * 6 / 252)
    assert not any(f.pvalue <= 0.05 for f in found)


def test_power_rises_with_the_truth():
    g = np.random.default_rng(14)
    groups = 1 + 0.1 * g.normal(size=(200, 2, 5))
    assert sum(equivalence_test(x, y, factor=1.35).pvalue <= 0.05 for x, y in groups) > 190
    assert sum(equivalence_test(x, y + 1, factor=1.35).opposite_pvalue <= 0.05 for x, y in groups) == 200
