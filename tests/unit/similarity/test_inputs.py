"""Centring and range of what comes in."""

import numpy as np
import pytest
import torch

from repdrift.similarity.inputs import centred, in_range


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
