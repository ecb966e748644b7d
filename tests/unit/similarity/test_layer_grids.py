"""Grids with and without parts of the samples, against the formula written out."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.similarity.kernels import hsic_grid
from repdrift.similarity.layer_grids import LayerSide, sample_parts

N = 24


def plain_cka(x, y):
    """Debiased linear CKA with every table made whole: Song et al. 2012, eq. 5."""
    n = len(x)
    x, y = x - x.mean(0), y - y.mean(0)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)

    def hsic(a, b):
        return (
            np.trace(a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(0) @ b.sum(1))
        ) / n / (n - 3)  # fmt: skip

    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def _models(widths):
    g = np.random.default_rng(0)
    base = {i: g.normal(size=(N, p)) for i, p in enumerate(widths)}
    tuned = {i: base[min(i, 2)] + 0.3 * g.normal(size=base[min(i, 2)].shape) for i in range(4)}
    return base, tuned


@pytest.mark.parametrize(
    "parts", [np.arange(N), np.arange(N) % 5, np.repeat(np.arange(3), (2, 7, 15))], ids=["ones", "fives", "uneven"]
)
@pytest.mark.parametrize("form", ["gram", "features"])
@pytest.mark.parametrize("limit", [1 << 30, 1], ids=["one block", "a block a layer"])
def test_values_and_values_without_parts_are_those_of_the_formula(parts, form, limit, monkeypatch):
    widths = (5, 40, 9)
    if form == "features":
        monkeypatch.setattr(hsic_grid, "MOST_IN_GRAM_FORM", 2)
        widths = (5, 8, 9)  # fewer than samples, or it is the Gram matrix anyway
    base, tuned = _models(widths)
    a, b = LayerSide(base, parts, limit), LayerSide(tuned, parts, limit)
    between, own = a.against(b), a.with_itself()
    assert between.values.shape == (3, 4)
    for i, x in base.items():
        for j, y in tuned.items():
            assert between.values[i, j] == pytest.approx(plain_cka(x, y), abs=1e-12)
            for part in range(parts.max() + 1):
                kept = parts != part
                assert between.without[part, i, j] == pytest.approx(plain_cka(x[kept], y[kept]), abs=1e-10)
    assert own.values == pytest.approx(
        np.array([[plain_cka(x, y) for y in base.values()] for x in base.values()]), abs=1e-12
    )


def test_equal_rows_are_exactly_one():
    base, _ = _models((5, 40, 9))
    rows = {i: torch.tensor(x, dtype=torch.float32) for i, x in base.items()}
    copies = {i: x.clone() for i, x in rows.items()} | {7: rows[1].clone()}
    parts = sample_parts(N, 1000)
    values = LayerSide(rows, parts).against(LayerSide(copies, parts)).values
    assert [values[0, 0], values[1, 1], values[2, 2], values[1, 3]] == [1.0] * 4
    assert (np.diag(LayerSide(rows, parts).with_itself().values) == 1).all()


@pytest.mark.parametrize("limit", [1 << 30, 1], ids=["one block", "a block a layer"])
def test_equal_rows_are_exactly_one_wherever_they_stand(limit):
    """Sums of equal tables may round differently by their place in a grid: the processor decides, so many places are tried."""
    row = torch.tensor(_models((40, 5, 9))[0][0], dtype=torch.float32)
    odd = {i: torch.randn(N, 7 + i, generator=torch.Generator().manual_seed(i)) for i in range(5)}
    rows = odd | dict.fromkeys((5, 6, 7), row)
    grid = LayerSide(rows, sample_parts(N, 1000), limit).with_itself()
    between = LayerSide(rows, sample_parts(N, 1000), limit).against(LayerSide({0: row}, sample_parts(N, 1000), limit))
    assert (grid.values[5:, 5:] == 1).all()
    assert (grid.without[:, 5:, 5:] == 1).all()
    assert (between.values[5:] == 1).all()
    assert (between.without[:, 5:] == 1).all()
    assert (grid.values[:5, 5:] < 0.9).all()


def test_a_rotated_layer_is_one_up_to_rounding():
    base, _ = _models((6, 6, 6))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    parts = sample_parts(N, 1000)
    values = LayerSide(base, parts).against(LayerSide({i: x @ turn for i, x in base.items()}, parts)).values
    assert np.diag(values) == pytest.approx(1, abs=1e-12)


def test_a_layer_that_does_not_vary_is_missing_with_the_reason():
    base, _ = _models((5, 40, 9))
    side = LayerSide(base | {1: np.ones((N, 4))}, sample_parts(N, 1000))
    values = side.with_itself().values
    assert np.isnan(values[1]).all()
    assert np.isnan(values[:, 1]).all()
    assert np.isfinite(values[0, 2])
    assert list(side.missing) == [1]
    assert "same representation" in side.missing[1]


def test_faults_are_errors():
    base, tuned = _models((5, 40, 9))
    parts = sample_parts(N, 1000)
    with pytest.raises(ShapeError, match="same 24 samples"):
        LayerSide(base, parts).against(LayerSide({0: tuned[0][:20]}, sample_parts(20, 1000)))
    with pytest.raises(ShapeError, match="without the largest part 3 of 24"):
        LayerSide(base, np.array([0] * 21 + [1, 1, 1])).with_itself()
    with pytest.raises(NonFiniteError, match="layer 3: sample 0"):
        LayerSide({3: np.full((N, 3), np.nan)}, parts).with_itself()


def test_many_samples_are_left_out_in_parts():
    assert list(sample_parts(5, 10)) == [0, 1, 2, 3, 4]
    assert sorted(np.bincount(sample_parts(25, 10))) == [2] * 5 + [3] * 5
