"""Closed forms of norms and ranks."""

import math

import pytest
import torch

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.weights import (
    WeightName,
    dense_change,
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    spectral_norm,
)


def test_change_of_known_rank_and_norm():
    u, v = torch.zeros(80, 3), torch.zeros(3, 90)
    u[:3], v[:, :3] = torch.diag(torch.tensor([3.0, 4.0, 12.0])), torch.eye(3)
    change = dense_change(WeightName(0, "m"), torch.full((80, 90), 2.0), torch.full((80, 90), 2.0) + u @ v)
    assert change.change_norm == pytest.approx(13)
    assert change.norm == pytest.approx(2 * math.sqrt(7200))
    assert change.relative_change == pytest.approx(13 / (2 * math.sqrt(7200)))
    assert change.stable_rank == pytest.approx(169 / 144, rel=1e-3)


def test_orthogonal_change_has_full_stable_rank():
    change = dense_change(WeightName(0, "m"), torch.zeros(100, 100), torch.eye(100))
    assert change.stable_rank == pytest.approx(100, rel=1e-3)
    assert change.relative_change is None, "the base weight is zero"


def test_no_change_has_rank_zero_and_vectors_have_no_rank():
    same = dense_change(WeightName(0, "m"), torch.ones(70, 80), torch.ones(70, 80))
    assert (same.change_norm, same.relative_change, same.stable_rank) == (0, 0, 0)
    assert dense_change(WeightName(0, "bias"), torch.ones(5), torch.zeros(5)).stable_rank is None


def test_orthogonal_low_rank_uses_all_of_its_rank():
    a, b = torch.eye(8, 50), 0.5 * torch.eye(60, 8)
    values = low_rank_singular_values(a, b)
    assert values.tolist() == pytest.approx([0.5] * 8)
    assert effective_rank(values) == pytest.approx(8)
    assert rank_utilisation(values) == 1


def test_utilisation_counts_squares_to_99_per_cent():
    assert rank_utilisation(torch.ones(100)) == 0.99
    assert rank_utilisation(torch.tensor([10.0, 1.0])) == 0.5, "1 is 9 % of the sum, but less than 1 % of the squares"
    assert rank_utilisation(torch.tensor([9.9, 1.0])) == 1, "here it is 1.01 %"


def test_zero_b_uses_nothing_and_divides_by_nothing():
    values = low_rank_singular_values(torch.randn(4, 9), torch.zeros(7, 4))
    assert values.tolist() == [0] * 4
    assert effective_rank(values) == rank_utilisation(values) == 0
    assert spectral_norm(torch.zeros(90, 90)) == 0


def test_frobenius_norm_of_a_vector_is_its_length():
    assert frobenius_norm(torch.tensor([3.0, 4.0])) == 5


def test_shapes_and_nan_are_refused():
    with pytest.raises(ShapeError, match=r"A \(r, n\) and B \(m, r\), got \(4, 9\) and \(7, 3\)"):
        low_rank_singular_values(torch.zeros(4, 9), torch.zeros(7, 3))
    with pytest.raises(ShapeError, match="needs a matrix"):
        spectral_norm(torch.zeros(4))
    with pytest.raises(NonFiniteError, match=r"layer 3, q\.weight: NaN or Inf"):
        dense_change(WeightName(3, "q.weight"), torch.zeros(2, 2), torch.tensor([[0.0, math.nan], [0, 0]]))
