import numpy as np
import pytest

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.intervals import bootstrap_interval, jackknife_interval

_REPLICATES = np.random.default_rng(0).normal(size=400)
_WITHOUT = np.random.default_rng(1).normal(size=12)


def test_missing_replicates_are_refused_with_their_count_and_index():
    holed = _REPLICATES.copy()
    holed[[3, 7, 9]] = [np.nan, np.inf, np.nan]
    with pytest.raises(
        NonFiniteError, match=r"replicates should be finite: 3 of 400 are NaN or Inf, the first at \[3\]"
    ):
        bootstrap_interval(holed, 0)
    with pytest.raises(NonFiniteError, match="estimate should be one finite number, got inf"):
        bootstrap_interval(_REPLICATES, np.inf)
    with pytest.raises(NonFiniteError, match="leave_one_out should be finite"):
        jackknife_interval([1, np.nan], 1)
    with pytest.raises(NonFiniteError, match="leave_one_out should be finite"):
        bootstrap_interval(_REPLICATES, 0, method="bca", leave_one_out=[1, np.nan])


@pytest.mark.parametrize(("confidence", "least"), [(0.8, 100), (0.9, 200), (0.95, 400), (0.99, 2000)])
def test_each_tail_needs_ten_replicates(confidence, least):
    values = np.random.default_rng(0).normal(size=least)
    assert bootstrap_interval(values, 0, confidence=confidence).low < 0
    with pytest.raises(ConfigError, match=f"needs at least {least} replicates, 10 for each tail; got {least - 1}"):
        bootstrap_interval(values[1:], 0, confidence=confidence)


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        bootstrap_interval(_REPLICATES, 0, confidence=confidence)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        jackknife_interval(_WITHOUT, 0, confidence=confidence)


def test_methods_and_what_they_need_are_checked():
    with pytest.raises(UnknownNameError, match="Did you mean 'percentile'"):
        bootstrap_interval(_REPLICATES, 0, method="percentiles")
    with pytest.raises(ConfigError, match="'bca' needs leave_one_out"):
        bootstrap_interval(_REPLICATES, 0, method="bca")
    with pytest.raises(ConfigError, match="no part in the percentile method"):
        bootstrap_interval(_REPLICATES, 0, leave_one_out=_WITHOUT)


def test_shapes_that_do_not_fit_are_refused_and_never_broadcast():
    with pytest.raises(ShapeError, match=r"replicates should be a list of at least two values, got shape \(2, 200\)"):
        bootstrap_interval(_REPLICATES.reshape(2, 200), 0)
    with pytest.raises(ShapeError, match=r"estimate should be one number, got shape \(3,\)"):
        bootstrap_interval(_REPLICATES, [0, 0, 0])
    with pytest.raises(ShapeError, match="at least two values"):
        jackknife_interval([1.0], 1.0)
    with pytest.raises(ShapeError, match="at least two values"):
        bootstrap_interval(_REPLICATES, 0, method="bca", leave_one_out=[])


def test_bca_says_why_it_is_undefined():
    with pytest.raises(DegenerateInputError, match="all replicates lie on one side"):
        bootstrap_interval(_REPLICATES, float(_REPLICATES.max()) + 1, method="bca", leave_one_out=_WITHOUT)
    constant = np.full(12, 0.1)  # whose computed mean differs from it
    with pytest.raises(DegenerateInputError, match="leave_one_out is constant"):
        bootstrap_interval(_REPLICATES, 0, method="bca", leave_one_out=constant)


def test_bca_that_ends_beyond_the_replicates_asks_for_more():
    estimate = float(np.quantile(_REPLICATES, 0.1))
    with pytest.raises(ConfigError, match=r"ends beyond the outermost of 400 replicates, .* draw at least \d+"):
        bootstrap_interval(_REPLICATES, estimate, method="bca", leave_one_out=_WITHOUT)


def test_bca_whose_quantiles_would_turn_round_is_refused():
    # One sample carries everything: acceleration 1/6 of its largest, with a bias of two standard errors.
    without = np.zeros(400)
    without[0] = -1.0
    values = np.linspace(0, 1, 100_000)
    with pytest.raises(DegenerateInputError, match="too large for the interval to exist"):
        bootstrap_interval(values, 0.9999, confidence=0.999, method="bca", leave_one_out=without)


def test_constant_statistic_has_percentile_and_jackknife_intervals_without_width():
    assert bootstrap_interval(np.full(400, 0.1), 0.1) == (0.1, 0.1)
    assert jackknife_interval([0.5, 0.5, 0.5], 0.5) == (0.5, 0.5)


def test_inputs_are_left_as_they_were():
    values, before = _REPLICATES.copy(), _REPLICATES.copy()
    bootstrap_interval(values, 0)
    np.testing.assert_array_equal(values, before)
