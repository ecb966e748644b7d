"""Many measures correlated with one outcome, and corrected over the measures."""

import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics import outcome_correlations, rank_correlation

STRATA = ["a"] * 4 + ["b"] * 4


def test_each_measure_has_the_correlation_and_exact_p_of_the_single_test():
    g = np.random.default_rng(0)
    measures, outcome = g.normal(size=(8, 3)), g.normal(size=8)
    found = outcome_correlations(measures, outcome, strata=STRATA)
    assert (found.exact, found.n_permutations) == (True, 24 * 24)
    for i in range(3):
        alone = rank_correlation(measures[:, i], outcome, strata=STRATA)
        assert found.correlation[i] == pytest.approx(alone.correlation)
        assert found.pvalue[i] == pytest.approx(alone.pvalue)
        assert found.smallest_pvalue == pytest.approx(alone.smallest_pvalue)
    assert (found.adjusted >= found.pvalue).all()


def test_smallest_pvalue_of_random_pairings_is_not_guessed_from_them():
    """Eight of sixteen runs failed: no pairing has a p below 2 / C(16, 8). Some of a few draws reach the best value of these draws."""
    outcome = np.array([0.0, 1.0] * 8)
    measures = np.random.default_rng(9).normal(size=(16, 2))
    few, many = (outcome_correlations(measures, outcome, n_permutations=n).smallest_pvalue for n in (200, 20_000))
    assert (few, many) == pytest.approx((1 / 201, 2 / 12_870))


def test_intervals_are_those_of_the_single_correlation():
    g = np.random.default_rng(1)
    measures, outcome = g.normal(size=(16, 2)), g.normal(size=16)
    strata = ["a"] * 8 + ["b"] * 8
    found = outcome_correlations(measures, outcome, strata=strata, n_permutations=100)
    alone = rank_correlation(measures[:, 1], outcome, strata=strata, n_permutations=100)
    assert tuple(found.intervals[1]) == pytest.approx(tuple(alone.interval))
    assert not found.exact
    few = outcome_correlations(measures[:4], outcome[:4])
    assert few.intervals == (None, None)
    assert "5 runs" in few.missing[0]


def test_measures_that_move_together_pay_nothing_for_one_another():
    g = np.random.default_rng(2)
    one, outcome = g.normal(size=8), g.normal(size=8)
    found = outcome_correlations(np.column_stack([one, 2 * one, np.exp(one)]), outcome, strata=STRATA)
    assert found.adjusted == pytest.approx(found.pvalue)


def test_a_measure_that_predicts_is_found_among_many_that_do_not():
    g = np.random.default_rng(3)
    outcome = g.normal(size=24)
    measures = g.normal(size=(24, 10))
    measures[:, 4] = outcome + 0.3 * g.normal(size=24)
    found = outcome_correlations(measures, outcome, strata=["a"] * 12 + ["b"] * 12, n_permutations=2000)
    assert found.adjusted.argmin() == 4
    assert found.adjusted[4] < 0.01
    assert np.delete(found.adjusted, 4).min() > 0.05


def test_the_chance_of_any_false_finding_is_that_of_the_level():
    g = np.random.default_rng(4)
    false = sum(
        outcome_correlations(g.normal(size=(8, 6)), g.normal(size=8), strata=STRATA).adjusted.min() <= 0.05
        for _ in range(300)
    )
    assert 0.015 * 300 < false < 0.09 * 300


def test_what_cannot_be_correlated_is_refused():
    g = np.random.default_rng(5)
    measures, outcome = g.normal(size=(4, 2)), g.normal(size=4)
    with pytest.raises(ShapeError, match="same runs"):
        outcome_correlations(measures, outcome[:3])
    with pytest.raises(ShapeError, match="one run"):
        outcome_correlations(measures, outcome, strata=["a", "a", "a", "b"])
    with pytest.raises(DegenerateInputError, match="measure 1"):
        outcome_correlations(np.column_stack([outcome, np.ones(4)]), outcome)
    with pytest.raises(DegenerateInputError, match="outcome"):
        outcome_correlations(measures, np.ones(4))
    with pytest.raises(NonFiniteError):
        outcome_correlations(measures, [1.0, 2.0, np.nan, 3.0])
