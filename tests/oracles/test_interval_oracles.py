"""Bootstrap and jackknife intervals against scipy, closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics.intervals import bootstrap_interval, jackknife_interval
from repdrift.statistics.quantiles import normal_levels, normal_quantile, normal_quantiles, student_quantile


def _without_one(data, statistic):
    return np.array([statistic(np.delete(data, i)) for i in range(len(data))])


def _rounded_mean(x, axis=-1):
    return np.round(np.mean(x, axis=axis), 1)  # many replicates tie with the estimate


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("statistic", [np.mean, np.var, _rounded_mean])
def test_both_methods_agree_with_scipy(statistic, confidence):
    g = np.random.default_rng(0)
    data = g.exponential(size=25)
    for method in ("percentile", "bca"):
        expected = stats.bootstrap(
            (data,),
            statistic,
            method=method.replace("bca", "BCa"),
            confidence_level=confidence,
            n_resamples=4000,
            rng=g,
        )
        found = bootstrap_interval(
            expected.bootstrap_distribution,
            statistic(data),
            confidence=confidence,
            method=method,
            leave_one_out=_without_one(data, statistic) if method == "bca" else None,
        )
        assert (found.low, found.high) == (
            pytest.approx(expected.confidence_interval.low, rel=1e-12),
            pytest.approx(expected.confidence_interval.high, rel=1e-12),
        )
        assert found.confidence == confidence


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_many_statistics_at_once_are_each_by_itself(method):
    g = np.random.default_rng(1)
    replicates = g.gamma(np.arange(1, 7).reshape(2, 3, 1), size=(2, 3, 500))
    estimate = np.quantile(replicates, 0.4, axis=-1)
    without = g.gamma(2, size=(2, 3, 30)) if method == "bca" else None
    found = bootstrap_interval(replicates, estimate, method=method, leave_one_out=without)
    assert found.low.shape == found.high.shape == (2, 3)
    for at in np.ndindex(2, 3):
        one = bootstrap_interval(
            replicates[at], estimate[at], method=method, leave_one_out=None if without is None else without[at]
        )
        assert (found.low[at], found.high[at]) == (one.low, one.high)


def test_bca_without_bias_and_acceleration_is_the_percentile_interval():
    replicates = np.random.default_rng(2).normal(size=501)
    estimate = np.median(replicates)
    plain = bootstrap_interval(replicates, estimate)
    moved = bootstrap_interval(replicates, estimate, method="bca", leave_one_out=[-2.0, -1, 0, 1, 2])
    assert (moved.low, moved.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1e6])
def test_bca_follows_the_unit_of_the_statistic_however_small(scale):
    g = np.random.default_rng(3)
    replicates, without = g.gamma(3, size=600), g.gamma(3, size=20)
    one = bootstrap_interval(replicates, 2.5, method="bca", leave_one_out=without)
    scaled = bootstrap_interval(scale * replicates, scale * 2.5, method="bca", leave_one_out=scale * without)
    assert scaled.low == pytest.approx(scale * one.low, rel=1e-9)
    assert scaled.high == pytest.approx(scale * one.high, rel=1e-9)


def test_jackknife_of_a_mean_is_students_interval():
    data = np.random.default_rng(4).normal(size=(3, 9))
    without = (data.sum(axis=-1, keepdims=True) - data) / 8
    found = jackknife_interval(without, data.mean(axis=-1), confidence=0.9)
    expected = stats.ttest_1samp(data, 0, axis=-1).confidence_interval(0.9)
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)


def test_jackknife_is_centred_on_the_estimate_not_on_the_mean_of_the_leave_one_outs():
    found = jackknife_interval([1.0, 2.0, 3.0], 7.0)
    assert (found.low + found.high) / 2 == pytest.approx(7.0)
    assert found.high - 7 == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(2 / 3 * 2))


def test_quantiles_are_those_of_scipys_distributions():
    levels = np.array([1e-4, 0.025, 0.5, 0.9])
    assert normal_quantiles(levels) == pytest.approx(stats.norm.ppf(levels))
    assert normal_levels(stats.norm.ppf(levels)) == pytest.approx(levels)
    assert normal_quantile(0.975) == pytest.approx(stats.norm.ppf(0.975))
    for freedom in (1, 2.7, 40):
        assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom))


# Calibration. Each study has its own data; resamples may be shared between them, as data are independent of resamples.


def _studies(n, replicates, draw, studies=2000):
    g = np.random.default_rng(5)
    weights = g.multinomial(n, np.full(n, 1 / n), size=replicates) / n
    return draw(g, (studies, n)), weights


def _binomial(trials, rate):
    """Counts that all but one in a thousand simulations give at this rate."""
    return stats.binom.interval(0.999, trials, rate)


def test_percentile_and_jackknife_intervals_cover_a_mean_as_often_as_said():
    data, weights = _studies(150, 500, lambda g, size: g.normal(size=size))
    estimate = data.mean(axis=-1)
    without = (data.sum(axis=-1, keepdims=True) - data) / 149
    for found in (bootstrap_interval(data @ weights.T, estimate), jackknife_interval(without, estimate)):
        low, high = _binomial(2000, 0.95)
        assert low <= np.count_nonzero((found.low <= 0) & (found.high >= 0)) <= high


def test_bca_misses_a_skewed_statistic_on_both_sides_alike_and_percentile_does_not():
    data, weights = _studies(60, 2000, lambda g, size: g.exponential(size=size))
    estimate, without = data.mean(axis=-1), (data.sum(axis=-1, keepdims=True) - data) / 59
    plain = bootstrap_interval(data @ weights.T, estimate, confidence=0.9)
    moved = bootstrap_interval(data @ weights.T, estimate, confidence=0.9, method="bca", leave_one_out=without)
    low, high = _binomial(2000, 0.05)
    missed = [int(np.count_nonzero(miss)) for miss in (moved.low > 1, moved.high < 1, plain.low > 1, plain.high < 1)]
    assert low <= missed[0] <= high
    assert missed[1] <= 1.3 * high, "of second order: a little too often where the tail is long"
    assert missed[3] - missed[2] > 2 * (missed[1] - missed[0]), missed


def test_paired_reduction_on_shared_resamples_covers_its_truth_and_is_narrower_than_unpaired():
    g = np.random.default_rng(6)
    level = g.gamma(4, size=(800, 100))  # samples that move much move much under both methods
    full, lora = level * g.gamma(50, size=level.shape) / 50, 0.7 * level * g.gamma(50, size=level.shape) / 50
    weights = g.multinomial(100, np.full(100, 0.01), size=(2, 500)) / 100
    estimate = 1 - lora.mean(axis=-1) / full.mean(axis=-1)
    paired = bootstrap_interval(1 - (lora @ weights[0].T) / (full @ weights[0].T), estimate)
    unpaired = bootstrap_interval(1 - (lora @ weights[1].T) / (full @ weights[0].T), estimate)
    low, high = _binomial(800, 0.95)
    assert low <= np.count_nonzero((paired.low <= 0.3) & (paired.high >= 0.3)) <= high
    assert (paired.high - paired.low).mean() < 0.5 * (unpaired.high - unpaired.low).mean()
