"""Changes of raw rows and of their length, against definitions in extended precision and closed forms."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import Representation, measure
from repdrift.similarity.streaming import PairedAccumulator


def _pair(n, p, noise=1.0, seed=0):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, p)) * np.linspace(0.5, 3, p) + 2
    return x, x + noise * g.normal(size=(n, p))


@pytest.mark.parametrize("size", [1e-12, 1e-6, 0.3, 40.0])
def test_growth_by_a_share_is_that_relative_change_and_that_change_of_length(size):
    x, _ = _pair(20, 6)
    y = x * (1 + size)
    wide_x, wide_y = x.astype(np.longdouble), y.astype(np.longdouble)
    exact = float(np.linalg.norm(wide_y - wide_x) / np.linalg.norm(wide_x))
    assert measure("relative_change")(x, y) == pytest.approx(exact, rel=1e-13)
    assert exact == pytest.approx(size, rel=1e-3)
    assert measure("norm_change")(x, y) == pytest.approx(size, rel=1e-9, abs=3e-16)


def test_changes_are_their_definitions_and_a_length_changes_by_no_more_than_the_rows():
    for seed in range(5):
        x, y = _pair(20, 6, noise=0.1, seed=seed)
        rows = np.sqrt(sum(np.dot(b - a, b - a) for a, b in zip(x, y, strict=True)))
        moved, longer = measure("relative_change")(x, y), measure("norm_change")(x, y)
        assert moved == pytest.approx(rows / np.sqrt(np.sum(x**2)), rel=1e-13)
        lengths = [np.sqrt(np.mean(np.linalg.norm(v, axis=1) ** 2)) for v in (x, y)]
        assert longer == pytest.approx(abs(lengths[1] - lengths[0]) / lengths[0], abs=1e-14)
        assert longer < moved
    turned = x @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert measure("norm_change")(x, turned) == pytest.approx(0, abs=1e-14)
    assert measure("relative_change")(x, turned) > 0.5


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_small_changes_of_offset_features_are_measured_as_they_are(offset):
    x, y = _pair(50, 8, noise=1e-6)
    x, y = x + offset, y + offset + 1e-5
    wide_x, wide_y = x.astype(np.longdouble), y.astype(np.longdouble)
    exact = float(np.linalg.norm(wide_y - wide_x) / np.linalg.norm(wide_x))
    longer = float(abs(np.linalg.norm(wide_y) / np.linalg.norm(wide_x) - 1))
    assert longer > 1e-10
    assert measure("relative_change")(x, y) == pytest.approx(exact, rel=1e-12)
    assert measure("norm_change")(x, y) == pytest.approx(longer, rel=1e-5)


@pytest.mark.parametrize("name", ["relative_change", "norm_change"])
@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-480, 2.0**480, 2.0**1015])
def test_changes_of_extreme_numbers_neither_overflow_nor_vanish(name, scale):
    x, y = _pair(20, 6)
    m = measure(name)
    assert m(x * scale, y * scale) == pytest.approx(m(x, y), rel=1e-14)
    assert m(x * scale, -y * scale) == pytest.approx(m(x, -y), rel=1e-14)


def test_a_change_that_is_itself_outside_float64_has_its_ratio():
    x = np.where(np.arange(24).reshape(6, 4) % 3, 1.7e308, -1.7e308)
    assert measure("relative_change")(x, -x) == 2
    assert measure("norm_change")(x, -x) == 0


def test_a_change_of_the_smallest_numbers_is_not_halved_away():
    steps = np.random.default_rng(6).integers(-50, 50, size=(12, 3))
    found = measure("relative_change")(steps * 5e-324, (steps + 1) * 5e-324)
    assert found == pytest.approx(6 / np.linalg.norm(steps), rel=1e-12)


@pytest.mark.parametrize("name", ["relative_change", "norm_change"])
def test_a_change_relative_to_nothing_is_degenerate(name):
    x, y = _pair(20, 6)
    zero = Representation(np.zeros((20, 6)), constant_allowed=True)
    with pytest.raises(DegenerateInputError, match="base: all numbers are zero"):
        measure(name)(zero, y)
    assert measure(name)(y, zero) == 1
    with pytest.raises(DegenerateInputError, match="leaves float64"):
        measure(name)(x * 1e-300, y * 1e300)
    folded = PairedAccumulator(product_dtype=torch.float64)
    folded.update(torch.zeros(20, 6, dtype=torch.float64), [torch.tensor(y)])
    with pytest.raises(DegenerateInputError, match="base: all numbers are zero"):
        measure(name).from_moments(folded.result())
