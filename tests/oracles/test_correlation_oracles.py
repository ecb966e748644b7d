"""Rank correlation against scipy, brute force and a published example; profile correlations against both; simulation."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics.correlation import profile_correlations, rank_correlation

ALTERNATIVES = ["less", "greater", "two-sided"]


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("ties", [False, True])
def test_one_stratum_agrees_with_scipy(alternative, ties):
    g = np.random.default_rng(1)
    x, y = g.normal(size=6), g.normal(size=6)
    if ties:
        x, y = np.round(x), np.round(y)
    found = rank_correlation(x, y, alternative=alternative)
    assert found.correlation == pytest.approx(stats.spearmanr(x, y).statistic)
    tail, size = alternative, np.asarray
    if alternative == "two-sided":
        tail, size = "greater", np.abs  # scipy doubles the smaller tail; ours counts the size
    expected = stats.permutation_test(
        (x,),
        lambda v: size(stats.spearmanr(v, y).statistic),
        permutation_type="pairings",
        alternative=tail,
        n_resamples=np.inf,
    )
    assert found.exact
    assert found.n_permutations == 720
    assert found.pvalue == pytest.approx(expected.pvalue)
    null = expected.null_distribution
    best = null.min() if tail == "less" else null.max()
    assert found.smallest_pvalue == pytest.approx(np.isclose(null, best).mean())


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_strata_agree_with_brute_force_also_when_they_are_interleaved(alternative):
    g = np.random.default_rng(2)
    strata = np.array([*"xyxxyyxz", "z", "z"])
    x, y = g.normal(size=10), g.normal(size=10)
    groups = [np.flatnonzero(strata == s) for s in "xyz"]

    weights = [3 / 7, 2 / 7, 2 / 7]
    observed = sum(w * stats.spearmanr(x[i], y[i]).statistic for w, i in zip(weights, groups, strict=True))
    every = [
        [w * stats.spearmanr(x[i], y[list(order)]).statistic for order in permutations(i)]
        for w, i in zip(weights, groups, strict=True)
    ]
    null = np.array([sum(parts) for parts in product(*every)])
    turned = {"less": -1, "greater": 1, "two-sided": 1}[alternative]
    size = np.abs if alternative == "two-sided" else np.asarray
    found = rank_correlation(x, y, strata=list(strata), alternative=alternative)
    assert found.correlation == pytest.approx(observed)
    assert found.n_permutations == null.size == 24 * 6 * 6
    assert found.pvalue == pytest.approx((turned * size(null) >= turned * size(observed) - 1e-9).mean())


def test_pairing_at_random_is_close_to_exact_and_never_zero():
    g = np.random.default_rng(3)
    x = g.normal(size=8)
    y = x + 1.5 * g.normal(size=8)
    exact, drawn = rank_correlation(x, y), rank_correlation(x, y, n_permutations=4000, seed=1)
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=4 * np.sqrt(0.25 / 4000))
    assert drawn.smallest_pvalue == 1 / 4001 <= rank_correlation(x, x, n_permutations=4000).pvalue


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("ties", ["none", "x", "both", "skewed"])
def test_smallest_pvalue_with_ties_is_the_share_of_all_pairings_and_random_ones_know_it(alternative, ties):
    """Brute force over all pairings of two strata; and the same number where only some pairings were drawn."""
    g = np.random.default_rng(7)
    x, y = g.normal(size=9), g.normal(size=9)
    if ties in ("x", "both"):
        x = np.array([0.0, 0, 0, 1, 1, 5, 5, 6, 6])
    if ties == "both":
        y = np.array([2.0, 2, 1, 1, 1, 0, 3, 3, 0])
    if ties == "skewed":  # the largest correlation and the least differ in size
        x, y = np.array([0.0, 0, 0, 0, 1, 2, 3, 4, 5]), np.array([1.0, 2, 3, 4, 4, 0, 0, 0, 1])
    strata = [*"aaaaa", *"bbbb"]
    weights, groups = [4 / 7, 3 / 7], [np.arange(5), np.arange(5, 9)]
    every = [
        [w * stats.spearmanr(x[i], y[list(order)]).statistic for order in permutations(i)]
        for w, i in zip(weights, groups, strict=True)
    ]
    null = np.array([sum(parts) for parts in product(*every)])
    evidence = {"two-sided": np.abs(null), "greater": null, "less": -null}[alternative]
    expected = np.isclose(evidence, evidence.max(), atol=1e-9).mean()

    exact = rank_correlation(x, y, strata=strata, alternative=alternative)
    drawn = rank_correlation(x, y, strata=strata, alternative=alternative, n_permutations=2000)
    assert (exact.exact, drawn.exact) == (True, False)
    assert exact.smallest_pvalue == pytest.approx(expected)
    assert drawn.smallest_pvalue == pytest.approx(max(expected, 1 / 2001))


@pytest.mark.parametrize(("alternative", "expected"), [("greater", 1 / 120), ("less", 1.0), ("two-sided", 2 / 120)])
def test_smallest_pvalue_is_reached_by_one_order(alternative, expected):
    found = rank_correlation([1, 2, 3, 4, 5], [1, 10, 100, 1000, 1e4], alternative=alternative)
    assert found.pvalue == pytest.approx(expected)
    assert found.smallest_pvalue == pytest.approx(2 / 120 if alternative == "two-sided" else 1 / 120)


def test_tasks_that_differ_in_level_make_no_correlation():
    drift = [1.0, 2.0, 3.0, 11.0, 12.0, 13.0]
    score = [0.9, 0.7, 0.8, 0.3, 0.1, 0.2]  # within tasks -0.5; over both, the level of the task
    assert rank_correlation(drift, score).correlation < -0.8
    assert rank_correlation(drift, score, strata=[*"aaabbb"]).correlation == pytest.approx(-0.5)


def test_interval_is_the_published_example():
    """The example of `ci.spear` in the R package statpsych."""
    y = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    x = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    found = rank_correlation(x, y)
    assert (found.correlation, *found.interval) == pytest.approx((0.8699639, 0.5840951, 0.9638297), abs=1e-7)


def test_interval_of_equal_strata_narrows_as_if_their_number_were_samples():
    x, y = np.arange(8.0), np.array([1.0, 0, 3, 2, 5, 4, 7, 6])
    one = rank_correlation(x, y, n_permutations=100)
    four = rank_correlation(np.tile(x, 4), np.tile(y, 4), strata=np.repeat([*"abcd"], 8).tolist(), n_permutations=100)
    assert four.correlation == pytest.approx(one.correlation)
    width_one, width_four = (np.arctanh(f.interval.high) - np.arctanh(f.interval.low) for f in (one, four))
    assert width_four == pytest.approx(width_one / 2)


STUDIES = 400


def _low(rate):
    return stats.binom.ppf(0.0005, STUDIES, rate)


def _high(rate):
    return stats.binom.ppf(0.9995, STUDIES, rate)


def test_null_is_rejected_at_about_the_nominal_rate_within_strata():
    g = np.random.default_rng(4)
    strata, hits = [*"xxxxyyyy"], 0
    level = np.repeat([0.0, 10.0], 4)
    for _ in range(STUDIES):
        hits += rank_correlation(g.normal(size=8) + level, g.normal(size=8) - level, strata=strata).pvalue <= 0.05
    assert _low(0.04) <= hits <= _high(0.05)  # the p of this design step by about 0.01


@pytest.mark.parametrize(("rho", "n", "strata"), [(0.0, 20, 1), (0.5, 20, 1), (0.5, 8, 4), (0.8, 30, 1)])
def test_interval_of_the_rank_correlation_covers_at_about_the_confidence(rho, n, strata):
    g = np.random.default_rng(5)
    truth = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's correlation of two normal variables
    if strata > 1:  # the mean of a small stratum's correlation, not its limit (Moran 1948)
        truth = 6 / np.pi / (n + 1) * (np.arcsin(rho) + (n - 2) * np.arcsin(rho / 2))
    labels, held = np.repeat(np.arange(strata), n).tolist(), 0
    for _ in range(STUDIES):
        x, e = g.normal(size=(2, n * strata))
        found = rank_correlation(x, rho * x + np.sqrt(1 - rho**2) * e, strata=labels, n_permutations=20)
        held += found.interval.low <= truth <= found.interval.high
    assert _low(0.95) <= held <= _high(0.97)


def test_profiles_agree_with_numpy_and_scipy():
    g = np.random.default_rng(6)
    a, b = 1e-200 * g.normal(size=12), 1e6 + g.normal(size=12)
    found = profile_correlations(a, b)
    assert found.pearson == pytest.approx(stats.pearsonr(1e200 * a, b).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(a, b).statistic)
