"""Quadratic forms of many rows: half products, and leading eigenpairs."""

import pytest
import torch

from repdrift.similarity.uncertainty.quadratic_forms import Triangles, leading


def _symmetric(count, n, seed=0):
    m = torch.randn(count, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return m + m.mT


@pytest.mark.parametrize("n", [5, 64, 150, 301])
def test_half_products_are_the_whole_forms(n):
    matrices = _symmetric(3, n)
    w = torch.randn(7, n, generator=torch.Generator().manual_seed(1))
    expected = torch.einsum("ri,pij,rj->pr", w.double(), matrices, w.double())
    assert torch.allclose(Triangles(list(matrices)).of(w), expected, rtol=1e-4, atol=1e-3 * n**0.5)


def test_leading_pairs_are_the_eigenpairs_of_largest_magnitude():
    g = torch.Generator().manual_seed(2)
    turn = torch.linalg.qr(torch.randn(2, 60, 60, generator=g, dtype=torch.float64)).Q
    values = torch.tensor([9.0, -8, 6, -5] + [0.1] * 56, dtype=torch.float64)
    matrices = (turn * values) @ turn.mT
    found = leading(matrices, 4)
    assert torch.allclose(found.values, values[:4].expand(2, 4), atol=1e-6)
    assert torch.allclose(found.rebuilt(), (turn[..., :4] * values[:4]) @ turn[..., :4].mT, atol=1e-4)


def test_what_the_pairs_leave_weighs_what_their_values_say_however_flat_the_spectrum():
    matrices = _symmetric(1, 80)
    found = leading(matrices, 10)
    left = (matrices - found.rebuilt()).square().sum()
    assert float(left) == pytest.approx(float(matrices.square().sum() - found.values.square().sum()), rel=1e-9)


def test_matrices_of_zeros_and_smaller_than_the_rank_have_pairs():
    assert float(leading(torch.zeros(2, 30, 30), 5).values.abs().max()) == 0
    matrices = _symmetric(1, 6)
    found = leading(matrices, 8)
    assert torch.allclose(found.rebuilt(), matrices, atol=1e-10)
