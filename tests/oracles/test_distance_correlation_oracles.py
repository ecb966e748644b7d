"""Distance correlation against dcor, loops written from the definition, and closed forms."""

import importlib
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.geometry import distances
from repdrift.similarity.representation import Representation

SHAPES = [(40, 6), (12, 30)]


@pytest.fixture(scope="module")
def dcor():
    """The library, imported by the process that needs it: where nothing of it is cached, it compiles for a minute."""
    return importlib.import_module("dcor")


both_shapes = pytest.mark.parametrize(("n", "p"), SHAPES)


def _pair(seed, n, p, q=None):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, p))
    y = x @ g.normal(size=(p, q or p)) / np.sqrt(p) + g.normal(size=(n, q or p))
    return x, y


def _distances(x):
    n = len(x)
    d = np.zeros((n, n), dtype=x.dtype)
    for i in range(n):
        for j in range(n):
            d[i, j] = np.sqrt(np.sum((x[i] - x[j]) ** 2))
    return d


def _correlation_by_definition(x, y):
    """Székely et al. 2007, eqs. 2.8 to 2.10; of any precision."""

    def centred(side):
        d = _distances(side)
        return d - d.mean(0) - d.mean(1)[:, None] + d.mean()

    a, b = centred(x), centred(y)
    return np.sqrt(np.mean(a * b) / np.sqrt(np.mean(a * a) * np.mean(b * b)))


def _squared_covariance_by_quadruples(x, y):
    """The U-statistic of squared distance covariance over all ordered quadruples. No centring."""
    d, e = _distances(x), _distances(y)
    return np.mean([d[i, j] * (e[i, j] + e[q, r] - 2 * e[i, q]) for i, j, q, r in permutations(range(len(x)), 4)])


@pytest.mark.parametrize(("n", "p", "q"), [(40, 6, 6), (12, 30, 30), (12, 30, 3), (20, 1, 1)])
def test_both_correlations_agree_with_dcor(n, p, q, dcor):
    x, y = _pair(n + p, n, p, q)
    assert measure("distance_correlation")(x, y) == pytest.approx(dcor.distance_correlation(x, y), rel=1e-10)
    assert measure("distance_correlation_unbiased")(x, y) == pytest.approx(
        dcor.u_distance_correlation_sqr(x, y), rel=1e-10
    )


@both_shapes
def test_distance_correlation_is_its_definition_in_loops(n, p):
    x, y = _pair(1, n, p)
    assert measure("distance_correlation")(x, y) == pytest.approx(_correlation_by_definition(x, y), rel=1e-12)


@pytest.mark.parametrize("p", [2, 20])
def test_the_unbiased_one_is_a_u_statistic_over_quadruples(p):
    x, y = _pair(2, 7, p)
    u = _squared_covariance_by_quadruples
    wanted = u(x, y) / np.sqrt(u(x, x) * u(y, y))
    assert measure("distance_correlation_unbiased")(x, y) == pytest.approx(wanted, rel=1e-10)


def test_noise_of_many_features_looks_related_to_the_biased_estimator_only():
    g = np.random.default_rng(3)
    x, y = g.normal(size=(100, 400)), g.normal(size=(100, 400))
    assert measure("distance_correlation")(x, y) > 0.85
    assert abs(measure("distance_correlation_unbiased")(x, y)) < 0.05


def test_the_unbiased_one_has_mean_zero_for_noise():
    # The numerator is unbiased; dCor^2 of independent samples is then about 0 in the mean, the biased one 0.3 and more.
    g = np.random.default_rng(4)
    values = [measure("distance_correlation_unbiased")(*g.normal(size=(2, 30, 5))) for _ in range(60)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(60)
    assert np.mean(np.array(values) < 0) > 0.3


def test_the_correlation_of_a_normal_pair_is_the_closed_form():
    # Székely et al. 2007, theorem 7: R^2(rho) for the bivariate normal.
    rho, n = 0.6, 800
    g = np.random.default_rng(5)
    x = g.normal(size=(n, 1))
    y = rho * x + np.sqrt(1 - rho**2) * g.normal(size=(n, 1))
    top = rho * np.arcsin(rho) + np.sqrt(1 - rho**2) - rho * np.arcsin(rho / 2) - np.sqrt(4 - rho**2) + 1
    squared = top / (1 + np.pi / 3 - np.sqrt(3))
    assert measure("distance_correlation")(x, y) == pytest.approx(np.sqrt(squared), abs=0.04)
    assert measure("distance_correlation_unbiased")(x, y) == pytest.approx(squared, abs=0.04)


def test_two_values_give_the_correlation_of_the_two_variables():
    # Distances between the values of a variable of two values are its differences: dCor is |Pearson's r|.
    g = np.random.default_rng(6)
    x = g.integers(0, 2, size=(50, 1)).astype(float)
    y = np.where(g.random((50, 1)) < 0.8, x, 1 - x)
    pearson = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    assert measure("distance_correlation")(3 * x, y) == pytest.approx(abs(pearson), rel=1e-12)


def test_samples_of_a_full_design_are_independent_and_not_an_error():
    # Every value of x with every one of y: distance covariance is 0, and rounding brings it below that in some designs.
    m = measure("distance_correlation")
    for k in range(3, 9):
        x, y = (v.reshape(-1, 1) for v in np.meshgrid(np.sqrt(np.arange(float(k))), np.cbrt(np.arange(11.0))))
        prepared = [m.prepare(x), m.prepare(y)]
        assert 0 <= m.compare(*prepared) < 1e-7
        assert np.all(np.isfinite(m.compare_all(prepared, prepared)))
        assert np.all(np.isfinite(m.mispaired(*prepared, np.array([np.arange(11 * k)]))))


@pytest.mark.parametrize("name", ["distance_correlation", "distance_correlation_unbiased"])
@pytest.mark.parametrize("case", ["plain", "offset features", "massive feature", "duplicated samples", "float16"])
@pytest.mark.parametrize("p", [5, 60])
def test_a_small_drift_agrees_with_extended_precision(name, case, p):
    g = np.random.default_rng(7)
    x, noise = g.normal(size=(30, p)), g.normal(size=(30, p))
    if case == "offset features":
        x = x + 1e4
    elif case == "massive feature":
        x[:, 1], noise[:, 1] = 1e4 * x[:, 1] + 28_000, 1e4 * noise[:, 1]
    elif case == "duplicated samples":
        x[15:], noise[15:] = x[:15], noise[:15]
    y = x + 1e-3 * noise
    if case == "float16":
        x, y = torch.tensor(x).half(), torch.tensor(y).half()
    wide = [np.asarray(v, dtype=np.longdouble) for v in (x, y)]
    if name == "distance_correlation":
        exact = _correlation_by_definition(*wide)
    else:

        def centred(side):
            d, n = _distances(side), 30
            a = d - d.sum(0) / (n - 2) - d.sum(1)[:, None] / (n - 2) + d.sum() / ((n - 1) * (n - 2))
            return a * (1 - np.eye(n))

        a, b = (centred(side) for side in wide)
        exact = np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))
    drift = float(1 - exact)
    assert 1e-8 < drift < 2e-4
    assert 1 - measure(name)(x, y) == pytest.approx(drift, rel=1e-5)


@pytest.mark.parametrize("case", ["all apart", "a few close pairs", "two tight clusters", "equal samples"])
@pytest.mark.parametrize("p", [3, 50])
def test_distances_keep_their_digits_between_close_samples(monkeypatch, case, p):
    g = np.random.default_rng(8)
    x = g.normal(size=(40, p)) + 100
    if case == "a few close pairs":
        x[7:20] = x[6] + 1e-7 * g.normal(size=(13, p))
    elif case == "two tight clusters":
        x = np.repeat([[0.0], [1.0]], 20, axis=0) + 1e-6 * g.normal(size=(40, p))
    elif case == "equal samples":
        x[20:23] = x[0]
    monkeypatch.setattr(distances, "_PIECE", 10 * p)  # close pairs in several parts
    x = x.astype(np.float32)  # so that centring rounds nothing that matters
    found = distances.distances(Representation(x.astype(np.float64))).numpy()
    assert found == pytest.approx(cdist(x.astype(np.float64), x.astype(np.float64)), rel=1e-6, abs=1e-300)
    if case == "equal samples":
        assert np.all(found[20:23, 20:23] == 0)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_samples_that_are_equally_far_apart_are_degenerate_for_the_unbiased_one_only(offset, dcor):
    x, y = np.eye(20) + offset, np.random.default_rng(9).normal(size=(20, 3))
    with pytest.raises(DegenerateInputError, match="equally far apart"):
        measure("distance_correlation_unbiased")(x, y)
    assert measure("distance_correlation")(x, y) == pytest.approx(dcor.distance_correlation(np.eye(20), y), rel=1e-9)


@both_shapes
def test_the_jackknife_interval_is_that_of_samples_left_out_in_turn(n, p, dcor):
    from scipy.stats import t as student_t

    x, y = _pair(10, n, p)
    m = measure("distance_correlation_unbiased")
    logs = [np.log(1 - dcor.u_distance_correlation_sqr(np.delete(x, i, 0), np.delete(y, i, 0))) for i in range(n)]
    error = np.sqrt((n - 1) / n * np.sum((logs - np.mean(logs)) ** 2))
    reach = student_t(n - 1).ppf(0.975) * error
    drift = 1 - dcor.u_distance_correlation_sqr(x, y)
    assert m.interval(m.prepare(x), m.prepare(y)) == pytest.approx(
        (1 - drift * np.exp(reach), 1 - drift * np.exp(-reach)), rel=1e-8
    )
