"""Effect sizes and their intervals against scipy, published numbers, inverted tests and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics.effect_size import cliffs_delta, log_ratio, mean_difference, mean_ratio, mean_reduction


def _groups(seed, m, k):
    g = np.random.default_rng(seed)
    return 0.7 + 0.1 * g.normal(size=m), 1 + 0.2 * g.normal(size=k)


@pytest.mark.parametrize("sizes", [(3, 3), (5, 9), (10, 2)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_difference_and_log_ratio_have_scipys_welch_interval(sizes, confidence):
    a, b = _groups(sum(sizes), *sizes)
    for found, x, y in (
        (mean_difference(a, b, confidence=confidence), a, b),
        (log_ratio(a, b, confidence=confidence), np.log(a), np.log(b)),
    ):
        expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval(confidence)
        assert found.estimate == pytest.approx(x.mean() - y.mean())
        assert found.interval == (pytest.approx(expected.low), pytest.approx(expected.high))
        assert found.missing is None


def test_a_constant_group_has_no_error_of_its_own():
    a, b = _groups(0, 4, 6)
    a = np.full(4, 0.1)  # its mean, computed, is not 0.1
    expected = stats.ttest_1samp(b, 0).confidence_interval()
    found = mean_difference(a, b)
    assert found.interval == (pytest.approx(0.1 - expected.high), pytest.approx(0.1 - expected.low))


@pytest.mark.parametrize("sizes", [(3, 3), (5, 9), (10, 4)])
def test_ratio_interval_ends_where_welchs_test_of_a_against_a_multiple_of_b_turns(sizes):
    a, b = _groups(sum(sizes), *sizes)
    found = mean_ratio(a, b)
    assert found.estimate == pytest.approx(a.mean() / b.mean())
    freedom = stats.ttest_ind(a, found.estimate * b, equal_var=False).df  # the degrees of freedom at the estimate
    for end, sign in ((found.interval.low, 1), (found.interval.high, -1)):
        statistic = stats.ttest_ind(a, end * b, equal_var=False).statistic
        assert statistic == pytest.approx(sign * stats.t.ppf(0.975, freedom))


def test_ratio_interval_is_fiellers_formula():
    a, b = _groups(7, 6, 6)
    va, vb, r = a.var(ddof=1) / 6, b.var(ddof=1) / 6, a.mean() / b.mean()
    t = stats.t.ppf(0.975, stats.ttest_ind(a, r * b, equal_var=False).df)
    g = t**2 * vb / b.mean() ** 2
    reach = t / b.mean() * np.sqrt(va + r**2 * vb - g * va)
    found = mean_ratio(a, b)
    assert found.interval == (pytest.approx((r - reach) / (1 - g)), pytest.approx((r + reach) / (1 - g)))


@pytest.mark.parametrize("scale", [1e-160, 1e-6, 1e6])
def test_ratios_do_not_depend_on_the_unit_however_small(scale):
    a, b = _groups(8, 5, 6)
    one, scaled = mean_ratio(a, b), mean_ratio(scale * a, scale * b)
    assert (scaled.estimate, *scaled.interval) == pytest.approx((one.estimate, *one.interval), rel=1e-9)


def test_reduction_is_one_minus_the_ratio_with_the_delta_methods_interval_of_its_logarithm():
    comparison, reference = _groups(9, 5, 6)
    found = mean_reduction(reference, comparison)
    ratio = comparison.mean() / reference.mean()
    parts = [(x.var(ddof=1) / x.size / x.mean() ** 2, x.size - 1) for x in (comparison, reference)]
    error = sum(part for part, _ in parts)
    reach = stats.t.ppf(0.975, error**2 / sum(part**2 / df for part, df in parts)) * np.sqrt(error)
    assert (found.estimate, *found.interval) == pytest.approx(
        (1 - ratio, 1 - ratio * np.exp(reach), 1 - ratio * np.exp(-reach))
    )


def test_ratio_without_a_reference_above_zero_has_no_interval_exactly_where_its_own_test_fails():
    a = np.array([1.0, 1.1, 1.2])
    for shift in np.linspace(-0.5, 3, 36):
        b = np.array([0.1, 0.6, -0.4]) + shift
        found = mean_ratio(a, b)
        if b.mean() <= 0:
            assert (found.estimate, found.interval) == (None, None)
            assert "needs a value above zero" in found.missing
            continue
        freedom = stats.ttest_ind(a, found.estimate * b, equal_var=False).df
        distinct = stats.ttest_1samp(b, 0).statistic > stats.t.ppf(0.975, freedom)
        assert (found.interval is not None) == distinct
        assert found.missing is None if distinct else "not above zero at a confidence of 0.95" in found.missing


# The worked example of Hogarty and Kromrey 1999, Using SAS to calculate tests of Cliff's delta.
_TREATMENT, _CONTROL = [10, 10, 20, 20, 20, 30, 30, 30, 40, 50], [10, 20, 30, 40, 40, 50]
_PUBLISHED_VARIANCES = 0.2669753, 0.447, 1.0055556  # of rows, of columns, of cells


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_cliffs_delta_is_that_of_the_published_example(confidence):
    rows, columns, cells = _PUBLISHED_VARIANCES
    error = np.sqrt((5 * rows + 9 * columns + cells) / 60)
    d, z = -0.25, stats.norm.ppf(0.5 + confidence / 2)
    reach = z * error * np.sqrt((1 - d**2) ** 2 + (z * error) ** 2)
    ends = [(d - d**3 + side * reach) / (1 - d**2 + (z * error) ** 2) for side in (-1, 1)]
    found = cliffs_delta(_TREATMENT, _CONTROL, confidence=confidence)
    assert found.estimate == pytest.approx(d)
    assert found.interval == pytest.approx(tuple(ends), rel=1e-6)


def test_cliffs_delta_is_the_mann_whitney_statistic_rescaled():
    g = np.random.default_rng(1)
    a, b = g.integers(0, 8, size=9), g.integers(2, 9, size=7)
    assert cliffs_delta(a, b).estimate == pytest.approx(2 * stats.mannwhitneyu(a, b).statistic / 63 - 1)


def test_cliffs_delta_depends_on_order_alone_and_turns_with_the_groups():
    g = np.random.default_rng(2)
    a, b = g.normal(size=6), g.normal(size=5) + 0.7
    one, other, grown = cliffs_delta(a, b), cliffs_delta(b, a), cliffs_delta(np.exp(a), np.exp(b))
    assert (other.estimate, *other.interval) == pytest.approx((-one.estimate, -one.interval.high, -one.interval.low))
    assert grown == one
    assert -1 < one.interval.low < one.estimate < one.interval.high < 1


@pytest.mark.parametrize(("m", "k"), [(3, 3), (4, 9)])
def test_groups_apart_reach_to_wilsons_limit_of_the_smaller_group(m, k):
    a, b = np.arange(m), 100 + np.arange(k)
    wilson = stats.binomtest(min(m, k), min(m, k)).proportion_ci(method="wilson").low
    below, above = cliffs_delta(a, b), cliffs_delta(b, a)
    assert (below.estimate, below.interval.low) == (-1, -1)
    assert (above.estimate, above.interval.high) == (1, 1)
    assert below.interval.high == pytest.approx(-above.interval.low) == pytest.approx(1 - 2 * wilson)


# Calibration with three to ten values a group.

_DESIGNS = [(3, 3, 0.1, 0.1), (5, 5, 0.2, 0.1), (10, 10, 0.1, 0.2), (3, 10, 0.1, 0.1)]


@pytest.mark.parametrize(("m", "k", "spread_a", "spread_b"), _DESIGNS)
def test_intervals_cover_as_often_as_said(m, k, spread_a, spread_b):
    g = np.random.default_rng(m + k)
    trials, covered = 1000, {"difference": 0, "log ratio": 0, "ratio": 0, "reduction": 0}
    for _ in range(trials):
        noise_a, noise_b = spread_a * g.normal(size=m), spread_b * g.normal(size=k)
        a, b = 0.7 * (1 + noise_a), 1 + noise_b
        found = {
            "difference": (mean_difference(a, b), -0.3),
            "log ratio": (log_ratio(0.7 * np.exp(noise_a), np.exp(noise_b)), np.log(0.7)),
            "ratio": (mean_ratio(a, b), 0.7),
            "reduction": (mean_reduction(b, a), 0.3),
        }
        for name, (effect, truth) in found.items():
            covered[name] += effect.interval.low <= truth <= effect.interval.high
    low, high = stats.binom.interval(0.999, trials, 0.95)
    assert all(low <= count <= high for count in covered.values()), covered


@pytest.mark.parametrize(("m", "k"), [(3, 3), (5, 5), (10, 10), (3, 10)])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_cliffs_delta_is_covered_at_least_as_often_as_said(m, k, shift):
    g = np.random.default_rng(m)
    truth = 2 * stats.norm.cdf(shift / np.sqrt(2)) - 1
    effects = [cliffs_delta(x[:m] + shift, x[m:]) for x in g.normal(size=(600, m + k))]
    covered = sum(e.interval.low <= truth <= e.interval.high for e in effects)
    assert covered >= stats.binom.ppf(0.001, 600, 0.95)
    assert np.mean([e.interval.high - e.interval.low for e in effects]) < 1.6, (
        "an interval that always covers says nothing"
    )
