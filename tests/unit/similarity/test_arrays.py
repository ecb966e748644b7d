"""Centring and range of what comes in."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import DataError, DegenerateInputError
from repdrift.similarity import Representation, measure
from repdrift.similarity.arrays import as_floats, centred, in_range, require_same_device


def test_centred_columns_sum_to_zero_despite_large_offsets():
    g = np.random.default_rng(0)
    x = torch.tensor(g.normal(size=(300, 5)) + np.array([0, 1, 1e4, 1e8, -1e12]))
    c = centred(x)
    # Sums of 300 numbers of size 1, each rounded: some 1e-14; a single pass leaves up to 1e-4 of the last offset.
    assert c.sum(dim=0).abs().max() < 1e-11
    assert torch.allclose(c[:, :2], x[:, :2] - x[:, :2].mean(dim=0), atol=1e-14)


@pytest.mark.parametrize("scale", [1e-308, 1e-150, 1e150, 1e307])
def test_extreme_scales_are_moved_by_an_exact_power_of_two(scale):
    g = np.random.default_rng(1)
    x = torch.tensor(g.uniform(-1, 1, size=(6, 3)) * scale)
    moved = in_range(x)
    assert 0.1 < moved.abs().max() < 2.1
    ratio = (moved.abs().max() / x.abs().max() if scale > 1 else moved.abs().max() * (1 / x.abs().max())).item()
    assert np.frexp(ratio)[0] == pytest.approx(0.5, rel=1e-15)
    assert torch.equal(moved.argsort(dim=0), x.argsort(dim=0))


def test_ordinary_scales_are_left_alone():
    x = torch.tensor([[1e-20, 3.0], [2e4, 5.0]], dtype=torch.float64)
    assert in_range(x) is x


@pytest.mark.parametrize("shape", [(9, 1), (9, 3), (4, 1)])
def test_tables_that_are_turned_round_are_taken(shape):
    # Numpy calls a single column contiguous, whatever its stride; torch takes no negative one.
    x = np.random.default_rng(2).normal(size=shape)
    for turned in (x[:, ::-1], x[::-1], x[::-1, ::-1]):
        assert np.array_equal(as_floats(turned).numpy(), turned)


def test_masked_numbers_are_not_taken_for_numbers():
    x = np.ma.masked_greater(np.random.default_rng(3).normal(size=(9, 3)), 1)
    with pytest.raises(DataError, match="masked"):
        as_floats(x)
    assert torch.equal(as_floats(np.ma.masked_invalid(x.data)), torch.tensor(x.data))


def test_sides_on_two_devices_are_an_error_that_names_both(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    require_same_device(cpu, cpu)
    with pytest.raises(DataError, match="one device, got cpu and cuda:0"):
        require_same_device(cpu, cuda)
    x = np.random.default_rng(4).normal(size=(9, 3))
    m = measure("magnitude_difference")
    described = iter([m.prepare(x), type(m.prepare(x))(1.0, 9, cuda)])
    monkeypatch.setattr(type(m), "prepare", lambda *_: next(described))
    with pytest.raises(DataError, match="one device, got cpu and cuda:0"):
        m(x, x)


def test_what_varies_too_little_beside_what_does_not_is_refused():
    x = np.random.default_rng(5).normal(size=(9, 3))
    x[:, 1:] *= 1e-60
    x[:, 0] = 1
    assert measure("cka_biased")(x, x[:, 1:]) == pytest.approx(1, abs=1e-14)
    x[:, 1:] *= 1e-40
    with pytest.raises(DegenerateInputError, match="too small beside the largest number, which does not vary"):
        _ = Representation(x).centred
