"""The interaction test against the meta-analytic form of Welch's test, statsmodels, and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_generic

from repdrift.statistics import interaction_test, log_ratio


def test_many_models_agree_with_statsmodels_welch_anova_of_ratios_of_known_error():
    # With one method that barely varies, a log ratio is a mean of the other, and the test Welch's of those means.
    g = np.random.default_rng(0)
    sizes, strata = [4, 6, 9], np.repeat([*"xyz"], [4, 6, 9])
    comparison = np.exp(np.repeat([0.0, 0.2, 0.5], sizes) + np.repeat([0.1, 0.2, 0.4], sizes) * g.normal(size=19))
    reference = np.exp(1e-9 * g.normal(size=6))
    found = interaction_test(reference, comparison, strata=[*np.repeat([*"xyz"], 2), *strata])
    logs = [np.log(comparison[strata == s]) for s in "xyz"]
    expected = anova_generic(
        np.array([x.mean() for x in logs]),
        np.array([x.var(ddof=1) for x in logs]),
        np.array(sizes),
        use_var="unequal",
        welch_correction=True,
    )
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-5)
    assert (found.numerator, found.denominator) == pytest.approx((expected.df_num, expected.df_denom), rel=1e-5)
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-5)


def test_two_strata_are_welchs_t_of_four_groups():
    g = np.random.default_rng(1)
    parts = [np.exp(0.2 * g.normal(size=n)) for n in (3, 4, 5, 3)]  # reference x, y; comparison x, y
    strata = [*"xxxyyyy", *"xxxxxyyy"]
    found = interaction_test(np.concatenate(parts[:2]), np.concatenate(parts[2:]), strata=strata)
    errors = [np.log(x).var(ddof=1) / x.size for x in parts]
    means = [np.log(x).mean() for x in parts]
    t = (means[2] - means[0] - means[3] + means[1]) / np.sqrt(sum(errors))
    assert found.statistic == pytest.approx(t**2)
    assert found.log_ratios == {
        "x": pytest.approx(log_ratio(parts[2], parts[0]).estimate),
        "y": pytest.approx(log_ratio(parts[3], parts[1]).estimate),
    }
    assert found.n_units == 15


def _rejections(trials, factor):
    g = np.random.default_rng(2)
    spread = np.array([0.05, 0.05, 0.15, 0.15]).repeat(3)
    strata = [*np.repeat(range(4), 3)] * 2
    hits = 0
    for _ in range(trials):
        reference, comparison = np.exp(spread * g.normal(size=12)), np.exp(3 * spread * g.normal(size=12))
        comparison[:3] *= factor
        hits += interaction_test(reference, comparison, strata=strata).pvalue <= 0.05
    return hits / trials


def test_one_ratio_in_all_tasks_is_rejected_no_more_often_than_said_whatever_the_spreads():
    low, high = stats.binom.interval(0.999, 600, 0.05)
    assert 0.015 <= _rejections(600, 1.0) <= high / 600
    assert low > 0


def test_a_ratio_of_its_own_in_one_task_is_found():
    assert _rejections(100, 3.0) > 0.9
