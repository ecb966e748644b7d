"""Sign-flip test against scipy, brute force and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics.sign_flip import sign_flip_test

ALTERNATIVES = ["less", "greater", "two-sided"]


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("m", [3, 6, 10])
def test_single_stratum_agrees_with_scipy(alternative, m):
    g = np.random.default_rng(m)
    reference = g.normal(size=m)
    comparison = reference - 0.3 + 0.5 * g.normal(size=m)
    found = sign_flip_test(comparison - reference, alternative=alternative)
    expected = stats.permutation_test(
        (comparison, reference),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",  # exchanges the two values of a pair
        alternative=alternative,
        vectorized=True,
        n_resamples=np.inf,
    )
    assert found.exact
    assert (found.n_flips, found.n_units) == (2**m, m)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.pvalue == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_unequal_interleaved_strata_agree_with_brute_force(alternative):
    differences = np.random.default_rng(1).normal(size=9) - 0.4
    strata = np.array([*"xyxxzxyxz"])

    def statistic(values):
        return np.mean([values[strata == s].mean() for s in "xyz"])

    observed = statistic(differences)
    null = np.array([statistic(differences * signs) for signs in product([1, -1], repeat=9)])
    hits = {
        "less": null <= observed + 1e-12,
        "greater": null >= observed - 1e-12,
        "two-sided": abs(null) >= abs(observed) - 1e-12,
    }[alternative]
    found = sign_flip_test(differences, strata=list(strata), alternative=alternative)
    assert found.statistic == pytest.approx(observed)
    assert found.pvalue == pytest.approx(hits.mean())
    assert observed != pytest.approx(differences.mean()), "the strata matter here"


def test_rank_differences_give_wilcoxons_signed_rank_test():
    signs = np.array([-1, -1, 1, -1, -1, 1, -1, -1])
    found = sign_flip_test(signs * np.arange(1.0, 9))
    assert found.pvalue == pytest.approx(
        stats.wilcoxon(signs * np.arange(1.0, 9), alternative="less", method="exact").pvalue
    )


@pytest.mark.parametrize(("alternative", "sides"), [("less", 1), ("greater", 1), ("two-sided", 2)])
@pytest.mark.parametrize("m", [1, 3, 5])
def test_smallest_pvalue_is_what_differences_of_one_sign_give(alternative, sides, m):
    sign = 1 if alternative == "greater" else -1
    found = sign_flip_test(sign * np.arange(1.0, m + 1), alternative=alternative)
    assert found.pvalue == found.smallest_pvalue == pytest.approx(sides / 2**m)


def test_ties_and_zeros_count_as_hits_whatever_the_scale():
    assert sign_flip_test([0.0, 0.0, 0.0]).pvalue == 1.0
    assert sign_flip_test([-1.0, 0.0, -2.0]).pvalue == pytest.approx(2 / 8), "the zero flips without effect"
    for scale in (1e-9, 1.0, 1e9):  # -0.1 - 0.2 + 0.3 = 0: half of the 8 sums are below zero or nought, with 2 ties
        assert sign_flip_test(scale * np.array([-0.1, -0.2, 0.3])).pvalue == pytest.approx(5 / 8)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_monte_carlo_is_close_to_exact(alternative):
    differences = np.random.default_rng(2).normal(size=14) - 0.4
    exact = sign_flip_test(differences, alternative=alternative)
    drawn = sign_flip_test(differences, alternative=alternative, n_flips=5000, seed=3)
    assert (exact.exact, drawn.exact, drawn.n_flips) == (True, False, 5000)
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 5000))


def test_monte_carlo_depends_on_its_seed_and_is_never_zero():
    differences = np.random.default_rng(2).normal(size=14) - 0.4
    drawn = sign_flip_test(differences, n_flips=5000, seed=3)
    assert drawn == sign_flip_test(differences, n_flips=5000, seed=3)
    assert drawn.pvalue != sign_flip_test(differences, n_flips=5000, seed=4).pvalue
    far = sign_flip_test(-50 - np.arange(60.0), n_flips=1000)
    assert far.pvalue == far.smallest_pvalue == pytest.approx(1 / 1001)


def test_large_designs_are_drawn_at_most_a_hundred_thousand_times():
    found = sign_flip_test(np.random.default_rng(0).normal(size=40))
    assert (found.exact, found.n_flips) == (False, 100_000)


@pytest.mark.parametrize(("n_flips", "attainable"), [(1_000_000, 3 / 64), (59, 3 / 60)])
def test_null_is_rejected_at_the_attainable_rate(n_flips, attainable):
    """Of 6 pairs 3/64 is the largest p up to 0.05; of 59 draws, 3/60. Skewed pairs: only their difference is even."""
    g = np.random.default_rng(5)
    trials, strata = 2000, [*"xxxyyy"]
    pairs = np.exp(g.normal(size=(trials, 2, 6)))
    rejected = sum(
        sign_flip_test(x - y, strata=strata, n_flips=n_flips, seed=i).pvalue <= 0.05 for i, (x, y) in enumerate(pairs)
    )
    low, high = stats.binom.interval(0.999, trials, attainable)
    assert low <= rejected <= high
