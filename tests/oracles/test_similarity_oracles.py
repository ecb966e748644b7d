"""Similarity measures against independent float64 programs, closed forms and published figures."""

from itertools import permutations

import numpy as np
import pytest

from repdrift.similarity import measure
from repdrift.similarity.hsic import hsic_unbiased, leave_one_out_hsic


def _hsic_by_definition(x, y):
    """The U-statistic over all ordered quadruples: mean of K_ij (L_ij + L_qr - 2 L_iq)."""
    k, l_ = x @ x.T, y @ y.T
    terms = [k[i, j] * (l_[i, j] + l_[q, r] - 2 * l_[i, q]) for i, j, q, r in permutations(range(len(x)), 4)]
    return float(np.mean(terms))


@pytest.mark.parametrize("seed", range(3))
def test_unbiased_hsic_is_the_u_statistic_over_quadruples(seed):
    g = np.random.default_rng(seed)
    x, y = g.normal(size=(7, 3)), g.normal(size=(7, 4))
    assert hsic_unbiased(gram(x), gram(y)) == pytest.approx(_hsic_by_definition(x, y), rel=1e-10)


def test_leave_one_out_values_are_those_of_the_smaller_sets():
    g = np.random.default_rng(0)
    x, y = g.normal(size=(11, 3)), g.normal(size=(11, 20))
    found = leave_one_out_hsic(gram(x), gram(y))
    for i in range(11):
        assert float(found[i]) == pytest.approx(
            hsic_unbiased(gram(np.delete(x, i, 0)), gram(np.delete(y, i, 0))), rel=1e-10
        )


def test_biased_cka_is_the_published_formula_in_feature_space():
    g = np.random.default_rng(1)
    x = g.normal(size=(40, 9))
    y = x @ g.normal(size=(9, 60)) + g.normal(size=(40, 60))
    xc, yc = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm
    assert measure("cka_biased")(x, y) == pytest.approx(
        norm(yc.T @ xc) ** 2 / (norm(xc.T @ xc) * norm(yc.T @ yc)), rel=1e-12
    )


def test_debiased_cka_is_its_one_pass_moment_form():
    g = np.random.default_rng(2)
    x, y = g.normal(size=(50, 8)), g.normal(size=(50, 12))
    y[:, :8] += x

    def hsic(u, v):
        a, b = (u**2).sum(1), (v**2).sum(1)
        n = len(u)
        trace = np.linalg.norm(u.T @ v) ** 2 - a @ b
        totals = (np.linalg.norm(u.sum(0)) ** 2 - a.sum()) * (np.linalg.norm(v.sum(0)) ** 2 - b.sum())
        cross = u.sum(0) @ (u.T @ v) @ v.sum(0) - u.sum(0) @ (u.T @ b) - v.sum(0) @ (v.T @ a) + a @ b
        return (trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))

    assert measure("cka")(x, y) == pytest.approx(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)), rel=1e-9)


@pytest.mark.parametrize(("n", "biased"), [(750, 0.73), (277, 0.88)])
def test_noise_looks_similar_to_the_biased_estimator_only(n, biased):
    g = np.random.default_rng(3)
    x, y = g.normal(size=(n, 2048)), g.normal(size=(n, 2048))
    assert measure("cka_biased")(x, y) == pytest.approx(biased, abs=0.01)
    assert abs(measure("cka")(x, y)) < 0.02


def test_drift_of_a_millionth_is_measured_to_five_percent_despite_offsets():
    g = np.random.default_rng(4)
    n, p = 500, 64
    x = g.normal(size=(n, p))
    noise = g.normal(size=(n, p))
    # Population CKA of x and x + s e for white x, e: S_xy = I, S_yy = (1 + s^2) I, so CKA = 1 whatever s: use a signal
    # of unequal variances, for which the closed form is not 1.
    scales = np.linspace(0.2, 2.0, p)
    x = x * scales
    s = 2e-3
    y = x + s * noise
    sxx, syy = np.diag(scales**2), np.diag(scales**2 + s**2)
    population = 1 - np.sum(sxx * sxx) / (np.linalg.norm(sxx) * np.linalg.norm(syy))
    assert 1e-7 < population < 1e-5
    reference = 1 - measure("cka")(x, y)
    shifted = 1 - measure("cka")(x + 1e4, y + 1e4)
    assert shifted == pytest.approx(reference, rel=0.05)


def test_tiny_drift_agrees_with_extended_precision():
    g = np.random.default_rng(5)
    x = g.normal(size=(60, 10)) * np.linspace(0.5, 3, 10)
    y = x + 1e-3 * g.normal(size=(60, 10))
    xl, yl = (v.astype(np.longdouble) for v in (x, y))

    def hsic(u, v):
        u, v = u - u.mean(0), v - v.mean(0)
        k, l_ = u @ u.T, v @ v.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(l_, 0)
        n = len(u)
        return ((k * l_).sum() + k.sum() * l_.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) @ l_.sum(0))) / (
            n * (n - 3)
        )

    exact = float(1 - hsic(xl, yl) / np.sqrt(hsic(xl, xl) * hsic(yl, yl)))
    assert 1e-8 < exact < 1e-5
    assert 1 - measure("cka")(x, y) == pytest.approx(exact, rel=1e-6)


def test_cosines_agree_with_scikit_learn():
    from sklearn.metrics.pairwise import paired_cosine_distances

    g = np.random.default_rng(6)
    x, y = g.normal(size=(30, 5)) + 2, g.normal(size=(30, 5)) + 2
    assert measure("cosine")(x, y) == pytest.approx(np.mean(1 - paired_cosine_distances(x, y)), rel=1e-12)
    centred = np.mean(1 - paired_cosine_distances(x - x.mean(0), y - y.mean(0)))
    assert measure("cosine_centered")(x, y) == pytest.approx(centred, rel=1e-10)


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_intervals_cover_the_population_value(noise):
    g = np.random.default_rng(7)
    mixing = g.normal(size=(6, 6))
    sxx = mixing @ mixing.T
    syy = sxx + noise**2 * np.eye(6)
    population = np.sum(sxx**2) / (np.linalg.norm(sxx) * np.linalg.norm(syy))
    m = measure("cka")
    covered, trials = 0, 200
    for _ in range(trials):
        x = g.normal(size=(100, 6)) @ mixing.T
        y = x + noise * g.normal(size=(100, 6))
        interval = m.interval(m.prepare(x), m.prepare(y))
        covered += interval.low <= population <= interval.high
    # Binomial(200, 0.95) lies in [180, 198] with probability 0.999.
    assert 180 <= covered <= 199
