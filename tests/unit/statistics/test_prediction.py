"""Prediction intervals, held to their definition and to how often a new observation lies in them."""

import numpy as np
import pytest
from scipy import stats

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.prediction import prediction_interval


def test_it_is_the_formula_of_the_textbook():
    values = [0.31, 0.29, 0.35, 0.30, 0.33]
    low, high = prediction_interval(values, confidence=0.9)
    reach = stats.t.ppf(0.95, 4) * np.std(values, ddof=1) * np.sqrt(1 + 1 / 5)
    assert low == pytest.approx(np.mean(values) - reach, rel=1e-12)
    assert high == pytest.approx(np.mean(values) + reach, rel=1e-12)


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.9), (3, 0.95), (5, 0.975)])
def test_a_new_observation_lies_in_it_as_often_as_it_says(n, confidence):
    rng = np.random.default_rng(5)
    draws = rng.normal(0.4, 0.02, size=(20_000, n + 1))
    inside = 0
    for row in draws:
        low, high = prediction_interval(row[:n], confidence=confidence)
        inside += low <= row[n] <= high
    error = np.sqrt(confidence * (1 - confidence) / len(draws))
    assert inside / len(draws) == pytest.approx(confidence, abs=4 * error)


@pytest.mark.parametrize(
    ("values", "error"),
    [([1.0], DegenerateInputError), ([1.0, np.nan], NonFiniteError), ([[1.0, 2.0]], ShapeError)],
)
def test_what_gives_no_interval_is_refused(values, error):
    with pytest.raises(error):
        prediction_interval(values)
    with pytest.raises(ConfigError):
        prediction_interval([1.0, 2.0], confidence=1.0)
