"""Values without a sample, or without a group of samples, against the measure of the rows that are left."""

import numpy as np
import pytest
import torch
from scipy.stats import t as student_t

from repdrift.core.confidence import jackknife_reach
from repdrift.core.errors import ConfigError, DataError, DegenerateInputError, ShapeError
from repdrift.similarity import Representation, delete_group_values, jackknife_groups, measure, measures
from repdrift.similarity.kernels import centred_cosines
from repdrift.similarity.measure import Measure

CLOSED = {
    "cka", "cka_biased", "cosine", "cosine_centered", "disagreement", "distance_correlation",
    "distance_correlation_unbiased", "jensen_shannon", "kl_divergence",
}  # fmt: skip


def _pair(n, p, noise, seed=0):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, p)) * g.lognormal(sigma=0.7, size=(n, 1)) + 2
    return x, x + noise * g.normal(size=(n, p))


def _one_by_one(m, x, y):
    return np.array([m(np.delete(x, i, axis=0), np.delete(y, i, axis=0)) for i in range(len(x))])


@pytest.mark.parametrize("name", sorted(set(measures()) - CLOSED))
def test_other_measures_have_no_closed_form_of_values_without_a_sample(name):
    m = measure(name)
    x, y = _pair(18, 7, 0.5)
    assert type(m).without_one is Measure.without_one or m.without_one(m.prepare(x), m.prepare(y)) is None


@pytest.mark.parametrize("name", sorted(CLOSED))
@pytest.mark.parametrize(("n", "p"), [(18, 7), (12, 30)])
@pytest.mark.parametrize("noise", [1e-3, 0.5])
def test_values_without_a_sample_are_those_of_the_rows_left(name, n, p, noise):
    m = measure(name)
    x, y = _pair(n, p, noise)
    found = m.without_one(m.prepare(x), m.prepare(y))
    assert found.dtype == np.float64
    expected = _one_by_one(m, x, y)
    assert found == pytest.approx(expected, abs=1e-13 + 1e-5 * float(np.ptp(expected)))


def test_centred_cosine_of_float32_keeps_the_digits_of_a_small_drift():
    g = torch.Generator().manual_seed(0)
    scales = torch.arange(1, 901) ** -0.5
    x = torch.randn(200, 900, generator=g) * scales + 1
    y = x + 1e-3 * torch.randn(200, 900, generator=g) * scales
    m = measure("cosine_centered")
    px, py = m.prepare(x), m.prepare(y)
    assert px.kernel().table.dtype == torch.float32
    rows = np.arange(200)
    expected = [m(x[rows != i], y[rows != i]) for i in range(0, 200, 20)]
    assert m.without_one(px, py)[::20] == pytest.approx(expected, abs=1e-11)
    assert np.ptp(expected) > 1e-9


@pytest.mark.parametrize(("sigma", "cut"), [(0.1, True), (1.0, False)])
def test_of_many_samples_of_like_lengths_the_curvature_is_left_out(monkeypatch, sigma, cut):
    g = np.random.default_rng(1)
    x = g.normal(size=(700, 40)) * g.lognormal(sigma=sigma, size=(700, 1))
    y = x + 0.3 * g.normal(size=(700, 40))
    m = measure("cosine_centered")
    px, py = m.prepare(x), m.prepare(y)
    found = m.without_one(px, py)
    monkeypatch.setattr(centred_cosines, "_MANY", 1000)
    exact = m.without_one(px, py)
    assert bool((found != exact).any()) is cut
    assert jackknife_reach(found, 0.95) == pytest.approx(jackknife_reach(exact, 0.95), rel=4e-3)
    assert exact[:3] == pytest.approx(
        [m(np.delete(x, i, axis=0), np.delete(y, i, axis=0)) for i in range(3)], abs=1e-13
    )


def test_a_sample_at_the_mean_of_the_others_is_named():
    x = np.array([[3.0, 0], [-1, 1], [-1, -1], [-1, 0]])
    y = np.array([[1.0, 2], [3, 1], [-2, 1], [0, 5]])
    m = measure("cosine_centered")
    with pytest.raises(DegenerateInputError, match="without sample 0, sample 3 lies at the mean"):
        m.without_one(m.prepare(x), m.prepare(y))
    assert m.interval(m.prepare(x), m.prepare(y)) is None


def test_the_interval_of_biased_cka_is_the_jackknife_of_the_logarithm_of_drift():
    m = measure("cka_biased")
    x, y = _pair(25, 6, 0.5)
    logs = np.log(1 - _one_by_one(m, x, y))
    error = np.sqrt(24 * np.var(logs))
    reach = student_t(24).ppf(0.95) * error
    drift = 1 - m(x, y)
    found = m.interval(m.prepare(x), m.prepare(y), confidence=0.9)
    assert found == pytest.approx((1 - drift * np.exp(reach), 1 - drift * np.exp(-reach)), rel=1e-9)


@pytest.mark.parametrize("name", ["cka", "mutual_knn", "procrustes", "cosine_centered", "kl_divergence"])
def test_values_without_a_group_are_those_of_the_rows_left(name):
    m = measure(name)
    x, y = _pair(40, 6, 0.5)
    z = y[::-1].copy()
    groups = jackknife_groups(40, 6, seed=3)
    found = delete_group_values(m, Representation(x), [Representation(y), Representation(z)], groups)
    expected = [[m(x[groups != g], other[groups != g]) for g in range(6)] for other in (y, z)]
    assert np.array_equal(found, expected)
    assert np.ptp(found, axis=1).min() > 0


def test_groups_of_one_are_the_delete_one_jackknife():
    m = measure("cka")
    x, y = _pair(20, 6, 0.5)
    groups = jackknife_groups(20, 20, seed=0)
    found = delete_group_values(m, Representation(x), [Representation(y)], groups)[0]
    assert found[groups] == pytest.approx(m.without_one(m.prepare(x), m.prepare(y)), abs=1e-12)


def test_groups_are_balanced_random_and_seeded():
    groups = jackknife_groups(103, 10, seed=1)
    assert sorted(np.bincount(groups)) == [10] * 7 + [11] * 3
    assert np.array_equal(groups, jackknife_groups(103, 10, seed=1))
    assert not np.array_equal(groups, jackknife_groups(103, 10, seed=2))
    assert not np.array_equal(groups, np.arange(103) % 10)
    for wrong in (1, 104):
        with pytest.raises(ConfigError, match="at least 2 and at most the 103 samples"):
            jackknife_groups(103, wrong, seed=0)


def test_what_are_no_groups_is_refused_and_undefined_values_are_raised():
    m = measure("cka")
    x, y = (Representation(v) for v in _pair(12, 5, 0.5))
    with pytest.raises(ShapeError, match=r"integers of shape \(12,\), got float64"):
        delete_group_values(m, x, [y], np.zeros(12))
    with pytest.raises(DataError, match="none empty, got labels"):
        delete_group_values(m, x, [y], np.repeat([0, 2], 6))
    with pytest.raises(DataError, match="G at least 2"):
        delete_group_values(m, x, [y], np.zeros(12, dtype=int))
    with pytest.raises(ShapeError, match="12 and 6"):
        delete_group_values(m, x, [Representation(y.given[:6])], np.arange(12))
    lonely = np.zeros((12, 5))
    lonely[3] = 1.0
    with pytest.raises(DegenerateInputError, match="too few distinct samples"):
        delete_group_values(m, x, [Representation(lonely)], np.arange(12))
    assert delete_group_values(m, x, [], np.arange(12)).shape == (0, 12)
