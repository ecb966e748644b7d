"""Shares of samples against the formula written out in float64, also with parts of the samples left out."""

from __future__ import annotations

import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.similarity import Representation, measure
from repdrift.similarity.kernels import sample_shares
from repdrift.similarity.kernels.bulk_moves import moved_at_random, moves_beside
from repdrift.similarity.kernels.sample_shares import SampleShares, cosine_changes

SHAPES = [(4, 3), (5, 40), (12, 200), (120, 7), (40, 40)]


def unit_kernel(x: np.ndarray) -> np.ndarray:
    """The U-centred kernel with the mean product of entries 1, in the words of Székely and Rizzo."""
    k = x @ x.T
    n = len(k)
    np.fill_diagonal(k, 0)
    row, total = k.sum(axis=1), k.sum()
    u = k - row[:, None] / (n - 2) - row[None, :] / (n - 2) + total / ((n - 1) * (n - 2))
    np.fill_diagonal(u, 0)
    return u / np.sqrt((u * u).sum() / (n * (n - 3)))


def shares_written_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    n = len(x)
    return np.square(unit_kernel(x) - unit_kernel(y)).sum(axis=1) / (2 * n * (n - 3))


def two_sides(n: int, p: int, size: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(n + p)
    x = generator.normal(size=(n, p)) + 5
    return x, x @ (np.eye(p) + size * generator.normal(size=(p, p)) / np.sqrt(p)) + size * generator.normal(size=(n, p))


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("held", [True, False])
def test_shares_are_the_formula_and_add_up_to_the_drift(
    n: int, p: int, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr(sample_shares, "_HELD", 0)
        monkeypatch.setattr(sample_shares, "_BLOCK", 3 * n)
    x, y = two_sides(n, p)
    parts = SampleShares(Representation(x), Representation(y)).parts()
    assert parts.share == pytest.approx(shares_written_out(x, y), abs=1e-13)
    assert parts.share.sum() == pytest.approx(1 - measure("cka")(x, y), abs=1e-13)
    assert (parts.share >= 0).all()
    assert parts.weight.sum() == pytest.approx(1, abs=1e-13)
    assert parts.base_weight == pytest.approx(np.square(unit_kernel(x)).sum(axis=1) / (n * (n - 3)), abs=1e-13)
    assert ((parts.own_drift >= 0) & (parts.own_drift <= 2 + 1e-12)).all()


@pytest.mark.parametrize(("n", "p"), [(12, 200), (120, 7), (40, 40)])
@pytest.mark.parametrize("held", [True, False])
def test_shares_without_parts_are_those_of_the_samples_that_are_left(
    n: int, p: int, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr(sample_shares, "_HELD", 0)
        monkeypatch.setattr(sample_shares, "_BLOCK", 5 * n)
    x, y = two_sides(n, p)
    labels = np.random.default_rng(0).permutation(np.arange(n) % 4)
    labels[labels == 3] = 2  # parts of unequal size
    without = SampleShares(Representation(x), Representation(y)).without(labels)
    for part, found in enumerate(without):
        kept = labels != part
        assert found[kept] == pytest.approx(shares_written_out(x[kept], y[kept]), abs=1e-12)
        assert np.isnan(found[~kept]).all()


def test_small_drifts_keep_their_digits_without_a_part() -> None:
    x, _ = two_sides(60, 30)
    y = x + 1e-6 * np.random.default_rng(1).normal(size=x.shape)
    labels = np.arange(60) % 6
    found = SampleShares(Representation(x), Representation(y)).without(labels)[2, labels != 2]
    assert found == pytest.approx(shares_written_out(x[labels != 2], y[labels != 2]), rel=1e-5)


def test_a_rotation_and_a_scaling_of_all_move_no_sample() -> None:
    x, _ = two_sides(50, 20)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    for y in (x, 3 * x @ rotation + 7):
        parts = SampleShares(Representation(x), Representation(y)).parts()
        assert parts.share.max() < 1e-25
    changes = cosine_changes(Representation(x), Representation(3 * x @ rotation))
    assert changes is not None
    assert changes.max() > 0.5


def test_rows_of_a_sample_add_up() -> None:
    x, y = two_sides(30, 8)
    parts = SampleShares(Representation(x), Representation(y)).parts()
    of_sample = parts.by_sample(np.array([3, 1, 20, 6]))
    assert of_sample.share == pytest.approx(
        [parts.share[:3].sum(), parts.share[3], parts.share[4:24].sum(), parts.share[24:].sum()]
    )
    assert of_sample.weight.sum() == pytest.approx(1)


def test_shares_add_up_in_float32_kernels_too() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 600)).astype(np.float32)
    y = (x + 0.1 * generator.normal(size=x.shape)).astype(np.float32)
    parts = SampleShares(Representation(x), Representation(y)).parts()
    assert parts.share.sum() == pytest.approx(1 - measure("cka")(x, y), abs=1e-13)
    assert parts.share == pytest.approx(shares_written_out(x.astype(np.float64), y.astype(np.float64)), rel=1e-4)


def test_widths_may_differ_and_then_there_is_no_cosine() -> None:
    x, y = two_sides(20, 9)[0], two_sides(20, 4)[0]
    assert SampleShares(Representation(x), Representation(y)).parts().share == pytest.approx(shares_written_out(x, y))
    assert cosine_changes(Representation(x), Representation(y)) is None


def test_cosine_changes_are_about_the_means() -> None:
    x, y = two_sides(20, 9)
    u, v = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = 1 - (u * v).sum(axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    assert cosine_changes(Representation(x), Representation(y)) == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_compared_is_refused() -> None:
    x, y = two_sides(20, 9)
    with pytest.raises(ShapeError):
        SampleShares(Representation(x), Representation(y[:10]))
    simplex = np.eye(20)  # all samples equally far apart
    with pytest.raises(DegenerateInputError):
        SampleShares(Representation(simplex), Representation(y))
    with pytest.raises(DegenerateInputError, match="3 rows are left, and 4 are needed"):
        SampleShares(Representation(x[:6]), Representation(y[:6])).without(np.array([0, 0, 0, 1, 1, 1]))


def test_samples_that_stayed_did_not_move_beside_the_bulk() -> None:
    x, _ = two_sides(60, 20)
    y = x.copy()
    y[:10] = y[:10][::-1] * 3  # the mean of all moves along
    assert SampleShares(Representation(x), Representation(y)).parts().share[10:].min() > 1e-3
    bulk = np.arange(60) >= 15
    found = moves_beside(Representation(x), Representation(y), bulk)
    assert found.share[10:].max() < 1e-25
    assert found.share[:10].min() > 1e-4
    assert found.base_weight[bulk].sum() == pytest.approx(1)
    u, v = x - x[bulk].mean(axis=0), y - y[bulk].mean(axis=0)
    k, m = u @ u[bulk].T, v @ v[bulk].T
    own = np.arange(60)[:, None] == np.flatnonzero(bulk)
    k[own] = m[own] = 0
    k, m = k / np.sqrt(np.square(k[bulk]).sum()), m / np.sqrt(np.square(m[bulk]).sum())
    assert found.share == pytest.approx(np.square(k - m).sum(axis=1) / 2, abs=1e-14)


def test_random_moves_give_the_drift_that_was_asked_for() -> None:
    x = np.random.default_rng(0).normal(size=(400, 30))
    for drift in (0.001, 0.1, 0.6):
        pairs = moved_at_random(Representation(x), drift, draws=4, rows=400, seed=0)
        found = [SampleShares(before, after).parts().share.sum() for before, after in pairs]
        assert np.mean(found) == pytest.approx(drift, rel=0.3)
