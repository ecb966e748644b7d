"""Bootstrap of CKA against resamples written out row by row in float64."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import ConfigError, DataError, ShapeError
from repdrift.similarity import measure
from repdrift.similarity.uncertainty import resampling, unit_kernels
from repdrift.similarity.uncertainty.resampling import cka_resampled, resample_weights


def _expanded_cka(x, y, w):
    """Song's estimator on the matrices of the resample, U-centred before, with every pair of two copies of a sample at 0."""
    drawn = np.repeat(np.arange(len(w)), w)
    k, l_ = (_u_centred((v - v.mean(0)) @ (v - v.mean(0)).T) for v in (x, y))
    different = drawn[:, None] != drawn
    a, b = k[np.ix_(drawn, drawn)] * different, l_[np.ix_(drawn, drawn)] * different
    n = len(drawn)

    def hsic(p, q):
        return np.sum(p * q) + p.sum() * q.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * p.sum(1) @ q.sum(1)

    return hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b))


def _u_centred(k):
    n = len(k)
    k = k * (1 - np.eye(n))
    rows = k.sum(1, keepdims=True)
    return (k - rows / (n - 2) - rows.T / (n - 2) + k.sum() / (n - 1) / (n - 2)) * (1 - np.eye(n))


def _prepared(*sides):
    return [measure("cka").prepare(side) for side in sides]


@pytest.mark.parametrize(("p", "q"), [(8, 8), (90, 90), (8, 90)])
@pytest.mark.parametrize("noise", [3e-4, 0.1, 3.0])
def test_all_resamples_at_once_are_each_of_them_written_out(p, q, noise):
    g = np.random.default_rng(p)
    x = g.normal(size=(40, p)) + 5
    y = x[:, :q] if q <= p else x @ g.normal(size=(p, q))
    ys = [y + noise * g.normal(size=(40, q)), y + g.normal(size=(40, q)), -y + 4 * g.normal(size=(40, q))]
    weights = resample_weights(40, 25, seed=1)
    kx, *kys = _prepared(x, *ys)
    found = cka_resampled(kx, kys, weights)
    assert found.shape == (3, 25)
    for values, side in zip(found, ys, strict=True):
        exact = np.array([_expanded_cka(x, side, w) for w in weights])
        assert 1 - values == pytest.approx(1 - exact, rel=1e-4)  # drifts down to 1e-7
        assert values == pytest.approx(exact, abs=1e-6)


def test_each_sample_once_is_the_value_itself_in_any_batch():
    g = np.random.default_rng(0)
    x = g.normal(size=(30, 50))
    y = x + 0.01 * g.normal(size=(30, 50))
    kx, ky = _prepared(x, y)
    ones = np.ones((1200, 30), dtype=np.int64)  # more rows than one product takes
    done = []
    found = cka_resampled(kx, [ky], ones, on_rows=done.append)
    assert 1 - found == pytest.approx(1 - measure("cka")(x, y), rel=1e-4)
    assert sum(done) == 1200
    assert len(done) == 2


def test_unrelated_and_opposed_sides_go_below_zero_as_the_estimator_does():
    g = np.random.default_rng(3)
    x, y = g.normal(size=(20, 60)), g.normal(size=(20, 60))
    weights = resample_weights(20, 200, seed=0)
    kx, ky = _prepared(x, y)
    found = cka_resampled(kx, [ky], weights)[0]
    exact = np.array([_expanded_cka(x, y, w) for w in weights])
    assert found == pytest.approx(exact, abs=1e-6)
    assert found.min() < 0


def test_a_resample_without_variation_is_missing():
    g = np.random.default_rng(4)
    kx, ky = _prepared(g.normal(size=(12, 5)), g.normal(size=(12, 5)))
    of_one_sample = np.array([[12, *[0] * 11], [1] * 12])
    found = cka_resampled(kx, [ky], of_one_sample)[0]
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_weights_are_draws_with_replacement_and_seeded():
    weights = resample_weights(50, 4000, seed=7)
    assert weights.shape == (4000, 50)
    assert (weights.sum(axis=1) == 50).all()
    # Multinomial: each count has mean 1, variance 49/50, and is 0 with probability (1 - 1/50)^50.
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.08)
    assert weights.var() == pytest.approx(0.98, abs=0.02)
    assert (weights == 0).mean() == pytest.approx(0.98**50, abs=0.005)
    assert np.array_equal(weights, resample_weights(50, 4000, seed=7))
    assert not np.array_equal(weights, resample_weights(50, 4000, seed=8))


def test_what_are_no_weights_is_refused():
    g = np.random.default_rng(5)
    kx, ky = _prepared(g.normal(size=(10, 3)), g.normal(size=(10, 3)))
    short = measure("cka").prepare(torch.randn(8, 3))
    good = np.ones((2, 10), dtype=int)
    with pytest.raises(ShapeError, match=r"\(replicates, 10\), got float64"):
        cka_resampled(kx, [ky], good.astype(float))
    with pytest.raises(ShapeError, match=r"of shape \(2, 9\)"):
        cka_resampled(kx, [ky], good[:, :9])
    with pytest.raises(ShapeError, match="10 and 8"):
        cka_resampled(kx, [ky, short], good)
    good[1, 0] = -1
    with pytest.raises(DataError, match="row 1 of the weights has a negative count"):
        cka_resampled(kx, [ky], good)
    good[1, 0] = 2**30
    with pytest.raises(DataError, match="how often a sample is drawn should be at most"):
        cka_resampled(kx, [ky], good)
    with pytest.raises(ConfigError, match="at least 4 samples and 1 replicate"):
        resample_weights(3, 10, seed=0)
    assert cka_resampled(kx, [], good).shape == (0, 2)


def _sides(kind, n=320):
    g = np.random.default_rng(11)
    p = 40 if kind == "more samples than features" else 400
    scales = np.arange(1, p + 1) ** (0.0 if kind == "flat" else -0.6)
    x = g.normal(size=(n, p)) * scales + 3 * scales
    if kind == "heavy tails":
        x *= np.abs(g.standard_t(4, size=(n, 1))) + 0.2
    if kind == "one dominates":
        x[:, 0] = g.normal(size=n) * 3 * np.sqrt(np.square(scales).sum())
    if kind == "one long sample":
        x[3] *= 60
    noise = g.normal(size=(n, p)) * scales
    unrelated = g.normal(size=(n, p)) * scales
    return x, [x + 1e-3 * noise, x + 0.6 * noise, unrelated]


@pytest.mark.parametrize(
    "kind", ["flat", "steep", "more samples than features", "heavy tails", "one dominates", "one long sample"]
)
def test_the_second_order_is_the_exact_form_replicate_by_replicate(kind):
    x, ys = _sides(kind)
    weights = resample_weights(320, 400, seed=2)
    kx, *kys = _prepared(x, *ys)
    found, exact = 1 - cka_resampled(kx, kys, weights), 1 - cka_resampled(kx, kys, weights, exact=True)
    if kind == "one long sample":  # too far from 1 for a series: computed exactly
        assert np.array_equal(found, exact)
        return
    spread = exact.std(axis=1, keepdims=True)
    assert (found != exact).any(axis=1).all()
    assert ((found - exact) / spread).std(axis=1).max() < 0.06
    assert np.abs(((found - exact) / spread).mean(axis=1)).max() < 0.01
    assert found.std(axis=1) == pytest.approx(exact.std(axis=1), rel=0.015)


def test_only_draws_with_replacement_are_taken_to_the_second_order():
    x, ys = _sides("steep")
    weights = resample_weights(320, 400, seed=2)
    kx, ky = _prepared(x, ys[1])
    for row in (np.array([320] + [0] * 319), np.repeat([1, 0], [310, 10]), np.repeat([4, 0, 0, 0], 80)):
        other = weights.copy()
        other[7] = row
        found, exact = (cka_resampled(kx, [ky], other, exact=exact) for exact in (False, True))
        assert np.array_equal(found, exact, equal_nan=True)
    few = cka_resampled(kx, [ky], weights[:300])
    assert np.array_equal(few, cka_resampled(kx, [ky], weights[:300], exact=True))


def test_only_sides_in_which_one_sample_weighs_too_much_are_computed_exactly():
    x, ys = _sides("steep")
    long = ys[1].copy()
    long[5] *= 60
    weights = resample_weights(320, 400, seed=2)
    kx, *kys = _prepared(x, ys[0], long, ys[1])
    done = []
    found = cka_resampled(kx, kys, weights, on_rows=done.append)
    exact = cka_resampled(kx, kys, weights, exact=True)
    assert (found != exact).any(axis=1).tolist() == [True, False, True]
    assert sum(done) == 400


def test_equal_sides_stay_equal_to_the_second_order():
    x, _ = _sides("steep")
    kx, ky, kz = _prepared(x, x, 2 * x + 1)
    found = cka_resampled(kx, [ky, kz], resample_weights(320, 400, seed=2))
    assert np.abs(1 - found).max() < 1e-14


@pytest.mark.parametrize("rows_of_a_strip", [7, 39])
def test_strips_of_any_height_give_each_resample_written_out(monkeypatch, rows_of_a_strip):
    monkeypatch.setattr(unit_kernels, "_NUMBERS", 40 * rows_of_a_strip)
    g = np.random.default_rng(5)
    x = g.normal(size=(40, 8)) + 5
    ys = [
        x + noise * g.normal(size=x.shape) for noise in (1e-3, 0.5, 1e-3, 0.5, 2.0) * 2
    ]  # more sides than are taken together
    weights = resample_weights(40, 12, seed=1)
    kx, *kys = _prepared(x, *ys)
    found = cka_resampled(kx, kys, weights)
    for values, side in zip(found, ys, strict=True):
        exact = np.array([_expanded_cka(x, side, w) for w in weights])
        assert 1 - values == pytest.approx(1 - exact, rel=1e-4)


def test_many_samples_are_computed_exactly_and_in_strips(monkeypatch):
    x, ys = _sides("more samples than features")
    weights = resample_weights(320, 400, seed=2)
    kx, *kys = _prepared(x, *ys)
    second, exact = cka_resampled(kx, kys, weights), cka_resampled(kx, kys, weights, exact=True)
    monkeypatch.setattr(resampling, "_MANY", 319)
    many = cka_resampled(kx, kys, weights)
    assert np.array_equal(many, exact)
    assert (many != second).any(axis=1).all()


def test_counts_in_eight_bits_are_the_same_counts(monkeypatch):
    whole = resample_weights(320, 400, seed=2)
    monkeypatch.setattr(resampling, "_DRAWN", 1000)  # three resamples at a time
    small = resample_weights(320, 400, seed=2, dtype=np.int8)
    assert (whole.dtype, small.dtype) == (np.int32, np.int8)
    assert np.array_equal(whole, small)
    x, ys = _sides("steep")
    kx, ky = _prepared(x, ys[1])
    for weights in (whole, whole[:200]):  # to the second order, and exactly
        assert np.array_equal(cka_resampled(kx, [ky], weights), cka_resampled(kx, [ky], weights.astype(np.int8)))
