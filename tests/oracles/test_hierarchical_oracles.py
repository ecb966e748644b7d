"""Intervals over models and samples against Welch's, the law of total variance, and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics import hierarchical_reduction, hierarchical_replicates, log_ratio

_STRATA = [*np.repeat([*"xy"], 3)] * 2


def test_without_noise_of_samples_it_is_welchs_interval_of_the_log_ratio():
    g = np.random.default_rng(0)
    reference, comparison = np.exp(1e-4 * g.normal(size=4)), 0.7 * np.exp(1e-4 * g.normal(size=5))
    still = [np.tile(x[:, None], (1, 200)) for x in (reference, comparison)]
    found = hierarchical_reduction(*still, reference, comparison)
    welch = log_ratio(comparison, reference)
    # For so small a spread the log of a mean is the mean of logs.
    assert np.log(1 - found.interval.high) == pytest.approx(welch.interval.low, rel=1e-7)
    assert np.log(1 - found.interval.low) == pytest.approx(welch.interval.high, rel=1e-7)


def test_noise_common_to_a_method_adds_its_variance_and_that_of_each_model_is_not_counted_twice():
    g = np.random.default_rng(1)
    reference, comparison = np.exp(0.001 * g.normal(size=3)), np.exp(0.001 * g.normal(size=3))
    common = 0.002 * g.normal(size=(2, 1, 4000))
    own = 0.0015 * g.normal(size=(2, 3, 4000))
    shared = 0.5 * g.normal(size=4000)  # of all models alike: no part of a ratio
    replicates = [x[:, None] * np.exp(n + shared) for x, n in zip((reference, comparison), common + own, strict=True)]
    found = hierarchical_reduction(*replicates, reference, comparison)
    models = [np.log(x).var(ddof=1) / 3 for x in (reference, comparison)]
    total = sum(models) + 2 * 0.002**2
    df = total**2 / sum(v**2 / 2 for v in models)
    assert np.log((1 - found.interval.low) / (1 - found.interval.high)) == pytest.approx(
        2 * stats.t.ppf(0.975, df) * np.sqrt(total), rel=0.03
    )


def _study(g, models, common, own, count):
    level = np.repeat([0.2, 0.5], 3)[:, None]
    sides = []
    for factor in (1.0, 0.8):
        noise = models * g.normal(size=6) + np.repeat(common * g.normal(size=2), 3) + own * g.normal(size=6)
        again = np.repeat(common * g.normal(size=(2, count)), 3, axis=0) + own * g.normal(size=(6, count))
        estimate = factor * level[:, 0] * np.exp(noise)
        sides.append((estimate, estimate[:, None] * np.exp(again)))
    return sides


@pytest.mark.parametrize("noise", [(0.1, 0.0, 0.0), (0.05, 0.1, 0.1)])
def test_intervals_cover_the_true_reduction(noise):
    g, trials, covered = np.random.default_rng(2), 200, 0
    for _ in range(trials):
        (reference, of_reference), (comparison, of_comparison) = _study(g, *noise, 200)
        found = hierarchical_reduction(of_reference, of_comparison, reference, comparison, strata=_STRATA)
        covered += found.interval.low <= 0.2 <= found.interval.high
    low, high = stats.binom.interval(0.999, trials, 0.95)
    assert low <= covered <= high


def test_replicates_have_the_variance_of_means_over_models_and_samples():
    g = np.random.default_rng(3)
    estimate = 1 + 0.1 * g.normal(size=(40, 2))
    strata = [*"x" * 25, *"y" * 15]
    common = 0.03 * np.repeat(g.normal(size=(2, 20000, 1)), [25, 15], axis=0)
    found = hierarchical_replicates(estimate[:, None, :] + common, estimate, strata=strata)
    parts = [estimate[:25], estimate[25:]]
    of_models = sum(x.var(axis=0, ddof=1) / len(x) for x in parts) / 4
    assert found.mean(axis=0) == pytest.approx(np.mean([x.mean(axis=0) for x in parts], axis=0), abs=1e-3)
    df = 38  # nearly: Student's t has df / (df - 2) times the variance
    assert found.var(axis=0) == pytest.approx(of_models * df / (df - 2) + 2 * 0.03**2 / 4, rel=0.05)


def test_replicates_of_few_models_have_the_tails_of_students_t():
    g = np.random.default_rng(4)
    estimate = g.normal(size=(3, 1))
    found = hierarchical_replicates(np.tile(estimate[:, None], (1, 20000, 1)), estimate)
    low, high = np.quantile(found, [0.025, 0.975])
    error = estimate.std(ddof=1) / np.sqrt(3)
    assert (high - low) / 2 / error == pytest.approx(stats.t.ppf(0.975, 2), rel=0.07)
