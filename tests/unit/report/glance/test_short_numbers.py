"""Numbers of a screen: two significant digits, and nothing that is read as more or less than it is."""

import pytest

from repdrift.core.words import short_drift
from repdrift.report.glance.short_numbers import short_percent_range, with_spread


def test_an_interval_has_both_ends():
    assert short_percent_range(-0.262, 0.0063) == "[-26, 0.63]"


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.4481, 0.0121, "0.45 ±0.01"), (0.4481, 0.0012, "0.448 ±0.001"), (0.5, 0.0, "0.50 ±0"), (0.031, None, "0.031"),
        (3e-6, 1e-7, "0.0000030 ±below 0.000001"), (-7e-17, None, "0"), (3e-9, 0.012, "0.0000 ±0.0120"), (-3e-9, 0.012, "0.0000 ±0.0120"), (12.34, 1.2, "12.34 ±1.20"),
    ],
)  # fmt: skip
def test_a_spread_is_never_rounded_away(mean, spread, text):
    assert with_spread(mean, spread, "±") == text


def test_a_drift_that_is_rounding_is_0():
    assert short_drift(-7e-17) == "0"
    assert short_drift(2e-6) == "0.0000020"
