"""Bootstrap and jackknife intervals against scipy, closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.core.confidence import student_quantile
from repdrift.statistics.intervals import bootstrap_interval, jackknife_interval, normal_quantile


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
    data = np.random.default_rng(4).normal(size=9)
    found = jackknife_interval((data.sum() - data) / 8, data.mean(), confidence=0.9)
    expected = stats.ttest_1samp(data, 0).confidence_interval(0.9)
    assert found == pytest.approx((expected.low, expected.high))


def test_jackknife_is_centred_on_the_estimate_not_on_the_mean_of_the_leave_one_outs():
    found = jackknife_interval([1.0, 2.0, 3.0], 7.0)
    assert (found.low + found.high) / 2 == pytest.approx(7.0)
    assert found.high - 7 == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(2 / 3 * 2))


def test_quantiles_are_those_of_scipys_distributions():
    for level in (1e-4, 0.025, 0.5, 0.975):
        assert normal_quantile(level) == pytest.approx(stats.norm.ppf(level))
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


def _each(statistics, estimates, **options):
    """The bootstrap interval of every study: (studies, 2)."""
    return np.array(
        [bootstrap_interval(row, centre, **options) for row, centre in zip(statistics, estimates, strict=True)]
    )


def test_percentile_and_jackknife_intervals_cover_a_mean_as_often_as_said():
    data, weights = _studies(150, 500, lambda g, size: g.normal(size=size))
    estimate = data.mean(axis=-1)
    without = (data.sum(axis=-1, keepdims=True) - data) / 149
    jackknifed = np.array([jackknife_interval(row, centre) for row, centre in zip(without, estimate, strict=True)])
    for found in (_each(data @ weights.T, estimate), jackknifed):
        low, high = _binomial(2000, 0.95)
        assert low <= np.count_nonzero((found[:, 0] <= 0) & (found[:, 1] >= 0)) <= high


def test_bca_misses_a_skewed_statistic_on_both_sides_alike_and_percentile_does_not():
    data, weights = _studies(60, 2000, lambda g, size: g.exponential(size=size))
    estimate, without = data.mean(axis=-1), (data.sum(axis=-1, keepdims=True) - data) / 59
    replicates = data @ weights.T
    plain = _each(replicates, estimate, confidence=0.9)
    moved = np.array(
        [
            bootstrap_interval(row, centre, confidence=0.9, method="bca", leave_one_out=left)
            for row, centre, left in zip(replicates, estimate, without, strict=True)
        ]
    )
    low, high = _binomial(2000, 0.05)
    missed = [int(np.count_nonzero(miss)) for found in (moved, plain) for miss in (found[:, 0] > 1, found[:, 1] < 1)]
    assert low <= missed[0] <= high
    assert missed[1] <= 1.3 * high, "of second order: a little too often where the tail is long"
    assert missed[3] - missed[2] > 2 * (missed[1] - missed[0]), missed


def test_paired_reduction_on_shared_resamples_covers_its_truth_and_is_narrower_than_unpaired():
    g = np.random.default_rng(6)
    level = g.gamma(4, size=(800, 100))  # samples that move much move much under both methods
    full, lora = level * g.gamma(50, size=level.shape) / 50, 0.7 * level * g.gamma(50, size=level.shape) / 50
    weights = g.multinomial(100, np.full(100, 0.01), size=(2, 500)) / 100
    estimate = 1 - lora.mean(axis=-1) / full.mean(axis=-1)
    paired = _each(1 - (lora @ weights[0].T) / (full @ weights[0].T), estimate)
    unpaired = _each(1 - (lora @ weights[1].T) / (full @ weights[0].T), estimate)
    low, high = _binomial(800, 0.95)
    assert low <= np.count_nonzero((paired[:, 0] <= 0.3) & (paired[:, 1] >= 0.3)) <= high
    assert np.ptp(paired, axis=1).mean() < 0.5 * np.ptp(unpaired, axis=1).mean()
