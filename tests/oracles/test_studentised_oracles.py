"""Studentised label permutation against scipy's Welch statistic, brute force over strata, and simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics import label_permutation_test, reduction_lower_bound


@pytest.mark.parametrize("alternative", ["less", "greater"])
@pytest.mark.parametrize("sizes", [(3, 5), (6, 2)])
def test_single_stratum_agrees_with_scipys_permuted_welch_test(alternative, sizes):
    g = np.random.default_rng(sum(sizes))
    a, b = 3 + g.normal(size=sizes[0]), 3.5 + 2 * g.normal(size=sizes[1])
    found = label_permutation_test(a, b, alternative=alternative)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic,
        alternative=alternative,
        vectorized=True,
        n_resamples=np.inf,
    )
    assert found.exact
    assert found.studentised == pytest.approx(expected.statistic)
    assert found.statistic == pytest.approx(a.mean() - b.mean())
    assert found.pvalue == pytest.approx(expected.pvalue)


def _statistic(parts):
    difference = sum(x.mean() - y.mean() for x, y in parts)
    return difference / np.sqrt(sum(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y) for x, y in parts))


@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
def test_strata_agree_with_brute_force_also_when_they_are_interleaved(alternative):
    g = np.random.default_rng(1)
    a, b = g.normal(size=5), g.normal(size=7) + 0.4
    strata = np.array([*"xyxyx", *"yxxyyyx"])
    found = label_permutation_test(a, b, strata=list(strata), alternative=alternative)
    values, is_a = np.concatenate([a, b]), np.arange(12) < 5
    groups = [np.flatnonzero(strata == s) for s in "xy"]
    null = []
    for chosen in product(*[combinations(group, int(is_a[group].sum())) for group in groups]):
        mask = np.isin(np.arange(12), np.concatenate(chosen))
        null.append(_statistic([(values[group][mask[group]], values[group][~mask[group]]) for group in groups]))
    observed = _statistic([(values[group][is_a[group]], values[group][~is_a[group]]) for group in groups])
    turn = {"less": lambda t: -t, "greater": lambda t: t, "two-sided": np.abs}[alternative]
    assert found.studentised == pytest.approx(observed)
    assert found.pvalue == pytest.approx((turn(np.array(null)) >= turn(observed) - 1e-9).mean())


def test_equal_numbers_in_one_task_are_left_as_they_are_and_unequal_ones_are_studentised():
    g = np.random.default_rng(2)
    assert label_permutation_test(g.normal(size=4), g.normal(size=4)).studentised is None
    assert label_permutation_test(g.normal(size=4), g.normal(size=5)).studentised is not None
    assert label_permutation_test(g.normal(size=4), g.normal(size=5), studentise=False).studentised is None


def test_random_arrangements_are_close_to_all_of_them():
    g = np.random.default_rng(3)
    a, b = g.normal(size=5), g.normal(size=8) + 0.8
    exact, drawn = label_permutation_test(a, b), label_permutation_test(a, b, n_permutations=1000)
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 1000))


def _rejections(trials, spread, studentise):
    g = np.random.default_rng(4)
    strata = [*np.repeat([1, 2, 3], 2), *np.repeat([1, 2, 3], 4)]
    hits = 0
    for _ in range(trials):
        a, b = spread * g.normal(size=6), g.normal(size=12)
        hits += label_permutation_test(a, b, strata=strata, studentise=studentise).pvalue <= 0.05
    return hits / trials


def test_exchangeable_null_is_rejected_at_the_nominal_rate():
    assert _rejections(400, 1.0, None) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 400))


def test_fewer_models_with_more_spread_are_rejected_less_often_than_without():
    plain, studentised = (_rejections(250, 3.0, choice) for choice in (False, None))
    assert studentised < 0.75 * plain


@pytest.mark.parametrize("n_permutations", [1_000_000, 300])
def test_lower_bound_is_that_of_testing_margin_by_margin(n_permutations):
    g = np.random.default_rng(5)
    strata = [*"xxxyy", *"yyyxxxx"]
    full = np.array([0.5] * 3 + [0.2] * 2) * np.exp(0.05 * g.normal(size=5))
    lora = np.array([0.12] * 3 + [0.3] * 4) * np.exp(0.05 * g.normal(size=7))
    bound = reduction_lower_bound(full, lora, strata=strata, n_permutations=n_permutations, seed=2)
    margins = np.linspace(-1, 0.99, 200)
    swapped = [*strata[5:], *strata[:5]]
    rejected = [
        label_permutation_test(lora, (1 - r) * full, strata=swapped, n_permutations=n_permutations, seed=2).pvalue <= 0.05
        for r in margins
    ]  # fmt: skip
    last = int(np.flatnonzero(rejected)[-1])
    assert all(rejected[: last + 1])
    assert margins[last] <= bound <= margins[last + 1]
