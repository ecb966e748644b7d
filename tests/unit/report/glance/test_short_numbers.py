"""Numbers of a screen: two significant digits, and nothing that is read as more or less than it is."""

import pytest

from repdrift.core.words import short_drift
from repdrift.report.glance.short_numbers import (
    less_or_more,
    short_percent,
    short_percent_range,
    with_spread,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.1234, "12 %"), (-0.0034, "-0.34 %"), (0.0, "0 %"), (0.9951, "99.5 %"), (0.99999, "> 99.9 %"), (1.0, "100 %"), (-12.3, "-1,230 %"),
        (-1e-6, "0.00 %"), (1e-6, "0.00 %"), (0.994, "99 %"),
    ],
)  # fmt: skip
def test_shares_have_two_digits(share, text):
    assert short_percent(share) == text


def test_an_interval_has_both_ends():
    assert short_percent_range(-0.262, 0.0063) == "[-26, 0.63]"


@pytest.mark.parametrize(
    ("reduction", "words"), [(0.31, "31 % less"), (-0.12, "12 % more"), (-2.4, "3.40 times as much"), (0.0, "0 % less")]
)
def test_a_reduction_says_which_way(reduction, words):
    assert less_or_more(reduction) == words


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.4481, 0.0121, "0.45 ±0.01"), (0.4481, 0.0012, "0.448 ±0.001"), (0.5, 0.0, "0.50 ±0.00"), (0.031, None, "0.031"),
        (3e-6, 1e-7, "3.0e-06 ±1e-07"), (-7e-17, None, "0.00"),
    ],
)  # fmt: skip
def test_a_spread_is_never_rounded_away(mean, spread, text):
    assert with_spread(mean, spread, "±") == text


def test_a_drift_that_is_rounding_is_0():
    assert short_drift(-7e-17) == "0.00"
    assert short_drift(2e-6) == "2e-06"
