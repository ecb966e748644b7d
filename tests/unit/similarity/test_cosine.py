"""The cosine pair at the edges."""

import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import measure


def test_a_sample_of_zeros_is_named():
    x = np.random.default_rng(0).normal(size=(9, 4))
    x[5] = 0
    with pytest.raises(DegenerateInputError, match="sample 5 is a vector of zeros"):
        measure("cosine").prepare(x)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    g = np.random.default_rng(1)
    x, y = g.normal(size=(9, 4)), g.normal(size=(9, 4))
    assert measure("cosine")(x * scale, y) == pytest.approx(measure("cosine")(x, y), abs=1e-14)


def test_a_shared_offset_hides_in_the_raw_cosine_what_the_centred_one_shows():
    g = np.random.default_rng(2)
    offset = 10 * g.normal(size=64)
    x, y = g.normal(size=(200, 64)) + offset, g.normal(size=(200, 64)) + offset
    assert measure("cosine")(x, y) > 0.98
    # Cosines of independent directions in 64 dimensions have standard deviation 1/8; their mean over 200, 0.009.
    assert abs(measure("cosine_centered")(x, y)) < 0.04


def test_opposite_vectors_have_cosine_minus_one():
    x = np.random.default_rng(3).normal(size=(9, 4))
    for name in ("cosine", "cosine_centered"):
        assert measure(name)(x, -x) == pytest.approx(-1, abs=1e-14)


@pytest.mark.parametrize("name", ["cosine", "cosine_centered"])
def test_equal_sides_have_cosine_one_to_the_last_digit(name):
    # The sum of 2,048 squares of a unit vector would be 1 to rounding only, and a drift of rounding is not zero.
    x = np.random.default_rng(4).normal(size=(50, 2048))
    m = measure(name)
    assert m(x, x) == 1
    assert m.interval(m.prepare(x), m.prepare(x)) == (1, 1)


def test_mispaired_cosines_of_many_samples_are_those_of_permuted_rows():
    g = np.random.default_rng(5)
    x, y = g.normal(size=(2, 300, 4)) + 1  # more rows than one strip
    orders = np.array([g.permutation(300) for _ in range(3)])
    for name in ("cosine", "cosine_centered"):
        m = measure(name)
        found = m.mispaired(m.prepare(x), m.prepare(y), orders)
        assert found == pytest.approx([m(x, y[order]) for order in orders], abs=1e-12)
