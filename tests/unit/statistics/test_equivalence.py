import numpy as np
import pytest

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.equivalence import equivalence_test

_LOW, _HIGH = [1.0, 1.1, 1.2, 1.3], [2.0, 2.1, 2.2, 2.3]


@pytest.mark.parametrize("factor", [1, 0.8, np.inf, np.nan])
def test_factor_is_finite_and_above_one(factor):
    with pytest.raises(ConfigError, match="factor of an equivalence should be finite and above 1"):
        equivalence_test(_LOW, _HIGH, factor=factor)


def test_what_the_label_permutation_test_refuses_is_refused():
    with pytest.raises(NonFiniteError, match=r"b\[0\] is nan"):
        equivalence_test(_LOW, [np.nan, 1], factor=1.1)
    with pytest.raises(ShapeError, match="stratum 'y' has 1 values of a and 0 of b"):
        equivalence_test([1, 2], [1, 2], factor=1.1, strata=[*"xyxx"])
    with pytest.raises(ConfigError, match="n_permutations should be at least 1"):
        equivalence_test([1, 2], [1, 2], factor=1.1, n_permutations=0)


def test_share_of_a_mean_not_above_zero_is_refused():
    with pytest.raises(DegenerateInputError, match="the mean of a is 0"):
        equivalence_test([-1, 1], [1, 2], factor=2)
    with pytest.raises(DegenerateInputError, match="the mean of b is 0"):
        equivalence_test([1, 2], [0, 0], factor=2)


def test_near_groups_are_alike_and_far_ones_are_not():
    near = equivalence_test(_LOW, [1.05, 1.15, 1.2, 1.25], factor=1.5)
    assert near.pvalue == near.smallest_pvalue == pytest.approx(1 / 70)
    far = equivalence_test(_LOW, _HIGH, factor=1.1)
    assert (far.ratio, far.opposite_pvalue) == (pytest.approx(4.6 / 8.6), pytest.approx(2 / 70))
    assert min(far.pvalue, near.opposite_pvalue) > 0.9
    between = equivalence_test(_LOW, _HIGH, factor=1.9)
    assert min(between.pvalue, between.opposite_pvalue) > 0.05


def test_arguments_are_left_as_they_were():
    a, b = np.array(_LOW), np.array(_HIGH)
    equivalence_test(a, b, factor=1.1)
    assert (a.tolist(), b.tolist()) == (_LOW, _HIGH)
