import math

import pytest

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.correlation import profile_correlations, rank_correlation

X, Y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="the same runs: got 6 and 5"):
        rank_correlation(X, Y[:5])
    with pytest.raises(ShapeError, match="expected 6, got 5"):
        rank_correlation(X, Y, strata=["a"] * 5)
    with pytest.raises(ShapeError, match="stratum 'b' has 1 run"):
        rank_correlation(X, Y, strata=[*"aaaaab"])
    with pytest.raises(NonFiniteError, match=r"score\[5\] is nan"):
        rank_correlation(X, [*Y[:5], math.nan])


def test_constant_values_have_no_correlation():
    with pytest.raises(DegenerateInputError, match="score is constant in stratum 'b'"):
        rank_correlation(X, [1, 2, 3, 4, 4, 4], strata=[*"aaabbb"])
    with pytest.raises(DegenerateInputError, match="drift is constant"):
        rank_correlation([1] * 6, Y)


def test_options_without_a_meaning_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'greater'"):
        rank_correlation(X, Y, alternative="great")
    with pytest.raises(ConfigError, match="n_permutations should be at least 1"):
        rank_correlation(X, Y, n_permutations=0)
    with pytest.raises(ConfigError, match="confidence"):
        rank_correlation(X, Y, confidence=95)


def test_interval_that_is_not_possible_is_none_with_the_reason():
    few = rank_correlation(X[:4], Y[:4])
    assert few.interval is None
    assert few.missing == "an interval needs 5 runs in every stratum; one has 4"
    straight = rank_correlation(X, X)
    assert (straight.interval, straight.correlation) == (None, pytest.approx(1))
    assert "without exception" in straight.missing
    assert rank_correlation(X, Y).missing is None


def test_only_ranks_matter():
    plain = rank_correlation(X, Y)
    assert rank_correlation([x**9 for x in X], [math.log(y) for y in Y]) == plain


def test_profiles_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="a has 6, b has 5"):
        profile_correlations(X, Y[:5])
    with pytest.raises(ShapeError, match="at least 3"):
        profile_correlations(X[:2], Y[:2])
    with pytest.raises(DegenerateInputError, match="a profile is constant over layers"):
        profile_correlations(X, [1.0] * 6)
    with pytest.raises(NonFiniteError, match=r"b\[0\] is nan"):
        profile_correlations(X, [math.nan, *Y[1:]])
