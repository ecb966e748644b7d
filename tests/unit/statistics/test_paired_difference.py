"""Tests of the mean paired difference over trained models, against scipy's one-sample t."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from repdrift.core.errors import NonFiniteError
from repdrift.statistics import paired_difference


def test_interval_is_that_of_students_one_sample_test():
    values = np.array([0.1, 0.25, 0.18, 0.4])
    found = paired_difference(values, confidence=0.9)
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    assert found.estimate == pytest.approx(values.mean())
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_strata_count_alike_and_their_degrees_of_freedom_are_satterthwaites():
    values, strata = [0.1, 0.3, 0.2, 1.0, 1.4], ["a", "a", "a", "b", "b"]
    found = paired_difference(values, strata=strata)
    squares = np.array([np.var(values[:3], ddof=1) / 3, np.var(values[3:], ddof=1) / 2]) / 4
    freedom = squares.sum() ** 2 / (squares[0] ** 2 / 2 + squares[1] ** 2 / 1)
    assert found.estimate == pytest.approx((0.2 + 1.2) / 2)
    from scipy.stats import t

    assert found.interval.high - found.estimate == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(squares.sum()))


def test_95_percent_intervals_cover_about_95_percent():
    g = np.random.default_rng(0)
    ends = [paired_difference(g.normal(0.3, 1, size=4)).interval for _ in range(2000)]
    assert 0.935 < np.mean([low <= 0.3 <= high for low, high in ends]) < 0.965


@pytest.mark.parametrize(
    ("values", "strata", "missing"),
    [
        ([0.3], None, "two models"),
        ([0.1, 0.2, 0.3], ["a", "a", "b"], "every stratum"),
        ([0.2, 0.2], None, "no width"),
        ([0.45, 0.45 - 1e-16, 0.45], None, "no width"),
    ],
)
def test_without_an_interval_the_reason_is_given(values, strata, missing):
    found = paired_difference(values, strata=strata)
    assert found.interval is None
    assert missing in found.missing


def test_nan_is_an_error():
    with pytest.raises(NonFiniteError):
        paired_difference([0.1, float("nan")])
