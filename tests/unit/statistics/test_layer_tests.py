import numpy as np
import pytest

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.layer_tests import cluster_test, max_t_test

A, B = np.random.default_rng(0).normal(size=(2, 4, 5))

TESTS = pytest.mark.parametrize("test", [max_t_test, cluster_test])


@TESTS
def test_tables_that_do_not_fit_are_refused(test):
    with pytest.raises(ShapeError, match=r"same columns .*a is \(4, 5\), b is \(4, 4\)"):
        test(A, B[:, :4])
    with pytest.raises(ShapeError, match=r"b should be a table .* got shape \(5,\)"):
        test(A, B[0])
    with pytest.raises(ShapeError, match=r"a should be a table .* got shape \(0, 5\)"):
        test(A[:0], B)


@TESTS
def test_missing_values_are_refused_with_their_place(test):
    hole = B.copy()
    hole[2, 3] = np.nan
    with pytest.raises(NonFiniteError, match=r"b\[2, 3\] is nan"):
        test(A, hole)


@TESTS
def test_strata_that_do_not_fit_are_refused(test):
    with pytest.raises(ShapeError, match="expected 8, got 7"):
        test(A, B, strata=["x"] * 7)
    with pytest.raises(ShapeError, match="stratum 'y' has 0 values of a and 1 of b"):
        test(A, B, strata=[*"xxxxxxxy"])


@TESTS
def test_options_without_a_meaning_are_refused(test):
    with pytest.raises(UnknownNameError, match="Did you mean 'less'"):
        test(A, B, alternative="lesser")
    with pytest.raises(ConfigError, match="n_permutations should be at least 1, got 0"):
        test(A, B, n_permutations=0)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 2.7, float("nan")])
def test_threshold_that_forms_no_cluster_is_refused(threshold):
    with pytest.raises(ConfigError, match="within what this design can reach, 2.646 standard deviations"):
        cluster_test(A, B, threshold=threshold)


def test_default_threshold_beyond_the_design_is_refused():
    with pytest.raises(ConfigError, match="1.732 standard deviations; got 1.96"):
        cluster_test(A[:2], B[:2], alternative="two-sided")


def test_what_the_design_can_reach_is_reached_by_complete_and_even_separation():
    a, b = np.zeros((3, 2)), np.ones((3, 2))
    assert max_t_test(a, b).standardised == pytest.approx([-np.sqrt(5)] * 2)
    assert cluster_test(a, b, threshold=np.sqrt(5)).clusters[0].mass == pytest.approx(-2 * np.sqrt(5))
    strata = [*"xxxyyy"] * 2
    assert max_t_test(np.tile(a, (2, 1)), np.tile(b, (2, 1)), strata=strata).standardised == pytest.approx(
        [-np.sqrt(10)] * 2
    )


@TESTS
def test_results_are_the_same_for_the_same_seed_and_differ_between_seeds(test):
    a, b = np.random.default_rng(1).normal(size=(2, 8, 5))
    a = a - 0.4
    values = [str(test(a, b, n_permutations=500, seed=seed)) for seed in (1, 1, 2, 3)]
    assert values[0] == values[1]
    assert len(set(values)) > 1


def test_single_model_of_each_method_has_pvalue_one():
    found = max_t_test(A[:1], B[:1], alternative="two-sided")
    assert found.smallest_pvalue == 1.0
    assert (found.step_down == 1.0).all()
