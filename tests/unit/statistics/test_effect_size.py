import numpy as np
import pytest

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics.effect_size import cliffs_delta, log_ratio, mean_difference, mean_ratio, mean_reduction

_ALL = [mean_difference, log_ratio, mean_ratio, mean_reduction, cliffs_delta]


@pytest.mark.parametrize("effect", _ALL)
def test_what_is_no_group_of_finite_values_is_refused(effect):
    with pytest.raises(NonFiniteError, match=r"\[1\] is nan"):
        effect([1, 2], [1, np.nan])
    with pytest.raises(ShapeError, match="at least one value"):
        effect([], [1, 2])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        effect([1, 2], [3, 4], confidence=95)


@pytest.mark.parametrize("effect", _ALL)
def test_a_group_of_one_has_an_estimate_and_no_interval(effect):
    found = effect([2.0], [1.0, 1.5])
    assert found.estimate is not None
    assert found.interval is None
    assert "at least two values in each group" in found.missing


@pytest.mark.parametrize("effect", [mean_difference, log_ratio, mean_ratio, mean_reduction])
def test_groups_that_do_not_vary_have_an_estimate_and_no_interval(effect):
    found = effect([0.1] * 3, [0.3] * 3)  # whose computed variance is not nought
    assert found.estimate is not None
    assert found.interval is None
    assert "neither group varies" in found.missing


def test_cliffs_delta_of_equal_values_has_no_interval():
    found = cliffs_delta([1, 1, 1], [1, 1])
    assert (found.estimate, found.interval) == (0.0, None)
    assert "all values are equal" in found.missing


@pytest.mark.parametrize(("a", "b", "place"), [([1, 0.0], [1, 2], r"a[1] is 0"), ([1, 2], [-0.5, 2], "b[0] is -0.5")])
def test_log_ratio_of_what_has_no_logarithm_is_undefined_and_says_where(a, b, place):
    found = log_ratio(a, b)
    assert (found.estimate, found.interval) == (None, None)
    assert place in found.missing


def test_share_of_a_reference_not_above_zero_is_undefined_and_names_it():
    for found, name in ((mean_ratio([1, 2], [-1, 1]), "mean(b)"), (mean_reduction([-1, 1], [1, 2]), "mean(reference)")):
        assert (found.estimate, found.interval) == (None, None)
        assert found.missing.startswith(f"{name} is 0")


def test_ratio_without_an_interval_keeps_its_estimate_and_its_reason():
    found = mean_ratio([1, 1.2, 1.1], [0.1, 4, 1])
    assert found.estimate == pytest.approx(3.3 / 5.1)
    assert found.interval is None
    assert "mean(b) is not above zero at a confidence of 0.95" in found.missing


@pytest.mark.parametrize("effect", _ALL)
def test_more_confidence_is_wider(effect):
    g = np.random.default_rng(0)
    a, b = 1 + 0.1 * g.normal(size=5), 1.1 + 0.1 * g.normal(size=5)
    wide, narrow = effect(a, b, confidence=0.99), effect(a, b, confidence=0.8)
    assert wide.interval.low < narrow.interval.low < narrow.estimate < narrow.interval.high < wide.interval.high


@pytest.mark.parametrize("effect", _ALL)
def test_a_stratum_with_one_value_or_none_of_a_group_is_said(effect):
    found = effect([1.0, 1.2, 2.0], [1.0, 1.1, 2.5, 2.2], strata=[*"xxy", *"xxyy"])
    assert found.estimate is not None
    assert found.interval is None
    assert "each group in every stratum" in found.missing
    with pytest.raises(ShapeError, match="stratum 'y' has 0 values of a and 1 of b"):
        effect([1.0, 2.0], [1.0, 2.0], strata=[*"xx", *"xy"])


def test_a_stratum_of_equal_values_leaves_cliffs_delta_without_an_interval():
    found = cliffs_delta([1, 1, 2, 3], [1, 1, 4, 2], strata=[*"xxyy"] * 2)
    assert found.interval is None
    assert "all values are equal" in found.missing


def test_reduction_is_the_delta_method_and_meets_welch_for_small_spreads():
    g = np.random.default_rng(4)
    reference, comparison = 0.5 + 1e-5 * g.normal(size=4), 0.3 + 1e-5 * g.normal(size=6)
    found = mean_reduction(reference, comparison)
    logs = log_ratio(comparison, reference)
    assert found.interval == pytest.approx((1 - np.exp(logs.interval.high), 1 - np.exp(logs.interval.low)), abs=1e-9)
    assert found.estimate == pytest.approx(1 - mean_ratio(comparison, reference).estimate)
    assert (1 - found.interval.low) * (1 - found.interval.high) == pytest.approx((1 - found.estimate) ** 2)


def test_reduction_has_an_interval_where_fieller_cannot_exclude_any_ratio():
    reference, comparison = [0.1, 0.9, 0.2], [0.1, 0.2, 0.3]
    assert mean_ratio(comparison, reference).interval is None
    assert mean_reduction(reference, comparison).interval.low < 0
    assert "needs means above zero" in mean_reduction([0.1, 0.2], [-0.3, -0.2]).missing


def test_a_ratio_of_nothing_has_no_interval_though_the_other_group_varies():
    found = mean_ratio([0.0, 0.0, 0.0], [0.1, 0.2, 0.3])
    assert (found.estimate, found.interval) == (0.0, None)
    assert "no width" in found.missing
