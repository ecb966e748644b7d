"""Norms and ranks against numpy's full decomposition in float64."""

import numpy as np
import pytest
import torch

from repdrift.weights import (
    WeightName,
    dense_change,
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    spectral_norm,
)


def _orthonormal(g, n, k):
    return np.linalg.qr(g.normal(size=(n, k)))[0]


def _with_spectrum(g, m, n, values):
    return torch.tensor((_orthonormal(g, m, len(values)) * values) @ _orthonormal(g, n, len(values)).T)


def _largest(x):
    return np.linalg.svd(x.double().numpy(), compute_uv=False)[0]


_DRAWN = np.random.default_rng(1).random(199)
SPECTRA = {
    "flat": np.ones(200),
    "linear": np.linspace(1, 0, 200),
    "slow decay": np.arange(1, 201.0) ** -0.05,
    "clear outlier": np.r_[1.3, _DRAWN],
    "outlier by 1 %": np.r_[1.01, _DRAWN],
    "outlier by 0.1 %": np.r_[1.001, _DRAWN],
    "two equal": np.r_[1, 1, np.full(198, 0.99)],
    "rank one": np.array([1.0]),
    "rank four": np.array([4, 3, 2, 1e-3]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SPECTRA)
def test_spectral_norm_is_the_largest_singular_value(name, dtype):
    g = np.random.default_rng(sum(map(ord, name)))
    for shape in ((200, 260), (260, 200)):
        x = _with_spectrum(g, *shape, SPECTRA[name]).to(dtype)
        assert spectral_norm(x) == pytest.approx(_largest(x), rel=1e-4)


@pytest.mark.parametrize(("shape", "seeds"), [((100, 300), range(12)), ((384, 384), [3])])
def test_spectral_norm_is_not_misled_by_an_outlier_at_the_edge_of_noise(shape, seeds):
    """An iteration that starts with little of the outlier's direction first settles on the edge of the noise."""
    for seed in seeds:
        g = np.random.default_rng(seed)
        edge = sum(n**0.5 for n in shape)
        noise = g.normal(size=shape)
        u, v = (g.normal(size=n) for n in shape)
        outlier = 0.5 * edge * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
        x = torch.tensor(noise + outlier, dtype=torch.float32)
        assert spectral_norm(x) == pytest.approx(_largest(x), rel=1e-4)


@pytest.mark.parametrize("shape", [(400, 600), (1024, 96), (65, 400), (64, 400), (3, 500), (1, 7)])
@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e12])
def test_spectral_norm_of_noise_the_hardest_case_at_any_size_and_scale(shape, scale):
    g = np.random.default_rng(shape[0])
    x = torch.tensor(g.normal(size=shape) * scale, dtype=torch.float32)
    assert spectral_norm(x) == pytest.approx(_largest(x), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 4, 300])
def test_spectral_norm_is_deterministic(rank):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, rank, generator=g) @ torch.randn(rank, 400, generator=g)
    found = set()
    for seed in range(3):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - nothing may draw from it
        found.add(spectral_norm(x))
    assert len(found) == 1


def test_spectral_norm_of_what_does_not_converge_is_still_right(monkeypatch):
    from repdrift.weights import spectrum

    monkeypatch.setattr(spectrum, "_MOST_RESTARTS", 1)
    x = torch.randn(100, 120, generator=torch.Generator().manual_seed(0))
    assert spectral_norm(x) == pytest.approx(float(torch.linalg.svdvals(x.double())[0]), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_frobenius_norm_adds_up_in_float64(dtype):
    x = (torch.randn(3, 700_000, generator=torch.Generator().manual_seed(0)) + 30).to(dtype)
    assert frobenius_norm(x) == pytest.approx(np.linalg.norm(x.double().numpy()), rel=1e-12)


@pytest.mark.parametrize(("out", "inner", "r"), [(40, 60, 8), (60, 40, 1), (5, 60, 8), (6, 7, 16)])
def test_singular_values_of_b_a_are_those_of_the_product(out, inner, r):
    g = np.random.default_rng(out + r)
    a, b = g.normal(size=(r, inner)) * 1e-3, g.normal(size=(out, r)) * np.logspace(0, -6, r)
    found = low_rank_singular_values(torch.tensor(a), torch.tensor(b)).numpy()
    truth = np.zeros(r)
    values = np.linalg.svd(b @ a, compute_uv=False)[:r]
    truth[: len(values)] = values
    np.testing.assert_allclose(found, truth, rtol=1e-10, atol=1e-13 * truth[0])


def test_effective_rank_and_utilisation_agree_with_their_definitions():
    g = np.random.default_rng(5)
    for r in (1, 3, 8, 64, 100):
        values = np.sort(g.random(r) ** 3)[::-1].copy()
        p = values / values.sum()
        assert effective_rank(torch.tensor(values)) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
        shares = np.cumsum(values**2) / (values**2).sum()
        assert rank_utilisation(torch.tensor(values)) == (np.flatnonzero(shares >= 0.99)[0] + 1) / r


def test_dense_change_agrees_with_numpy():
    g = np.random.default_rng(6)
    w = g.normal(size=(96, 130))
    moved = w + g.normal(size=w.shape) * 1e-3
    found = dense_change(
        WeightName(2, "m.weight"), torch.tensor(w, dtype=torch.float32), torch.tensor(moved, dtype=torch.float32)
    )
    d = moved.astype(np.float32).astype(np.float64) - w.astype(np.float32).astype(np.float64)
    assert found.norm == pytest.approx(np.linalg.norm(w), rel=1e-6)
    assert found.change_norm == pytest.approx(np.linalg.norm(d), rel=1e-6)
    assert found.relative_change == pytest.approx(np.linalg.norm(d) / np.linalg.norm(w), rel=1e-6)
    assert found.stable_rank == pytest.approx((np.linalg.norm(d) / np.linalg.norm(d, 2)) ** 2, rel=2e-3)
