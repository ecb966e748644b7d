"""Canonical correlations, regression and subspaces against closed forms, definitions and other libraries."""

import numpy as np
import pytest
import torch
from scipy.linalg import helmert, subspace_angles

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.measures.cca import SingularVectorCca
from repdrift.similarity.streaming import PairedAccumulator

CORRELATIONS = ("cca", "svcca", "pwcca", "eigenspace_overlap")
STREAMED = (*CORRELATIONS, "linear_regression", "linear_regression_reverse", "gulp")
ALL = (*STREAMED, "linear_regression_cv", "linear_regression_cv_reverse")
# Widths of the two sides of 40 samples: all below n / 2, and both, or one, of low rank in more features than samples.
WIDTHS = [(5, 5), (4, 9), (9, 4), (60, 60), (60, 5), (5, 60)]


def _centred(x):
    return x - x.mean(axis=0)


def _pair(seed, p, q, n=40):
    """Two sides that share three of their at most nine directions."""
    g = np.random.default_rng(seed)
    r, s = min(p, 9), min(q, 9)
    z = g.normal(size=(n, 3))
    u = g.normal(size=(n, r)) + z @ g.normal(size=(3, r))
    v = g.normal(size=(n, s)) + z @ g.normal(size=(3, s))
    x = u if p == r else u @ g.normal(size=(r, p))
    y = v if q == s else v @ g.normal(size=(s, q))
    return x + g.normal(size=p), y + g.normal(size=q)


def _rotation(g, p):
    return np.linalg.qr(g.normal(size=(p, p)))[0]


def _turned(angles, x_scales, y_scales, *, n=50, seed=0, width=None):
    """Sides whose i-th axes, of lengths x_scales and y_scales, lie at the i-th angle. The features of y are mixed and padded."""
    g = np.random.default_rng(seed)
    k = len(angles)
    axes = np.linalg.qr(_centred(g.normal(size=(n, 2 * k))))[0]
    x = axes[:, :k] * x_scales
    y = (axes[:, :k] * np.cos(angles) + axes[:, k:] * np.sin(angles)) * y_scales
    width = k if width is None else width
    return np.pad(x, [(0, 0), (0, width - k)]), np.pad(y, [(0, 0), (0, width - k)]) @ _rotation(g, width)


def _closed_forms(angles, x_scales, y_scales):
    """Drifts from angles: 1 - cos a = 2 sin(a / 2)^2 and 1 - cos^2 = sin^2 lose no digits."""
    short, squared = 2 * np.sin(angles / 2) ** 2, np.sin(angles) ** 2
    x2, y2 = x_scales**2, y_scales**2
    d, e = (s / (s + 0.01 * s.sum()) for s in (x2, y2))
    return {
        "cca": short.mean(),
        "svcca": short.mean(),
        "pwcca": short @ x_scales / x_scales.sum(),
        "eigenspace_overlap": squared.mean(),
        "linear_regression": squared @ y2 / y2.sum(),
        "linear_regression_reverse": squared @ x2 / x2.sum(),
        # ||d aa' - e bb'||^2 = (d - e)^2 + 2 d e sin^2 for unit vectors a, b.
        "gulp": np.sqrt(np.sum((d - e) ** 2 + 2 * d * e * squared)),
    }


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("width", [4, 90])
@pytest.mark.parametrize("size", [1, 1e-3])
def test_sides_at_known_angles_have_their_closed_forms(name, size, width, offset):
    angles, x_scales, y_scales = (
        size * np.array([0.1, 0.5, 0.9, 1.4]),
        np.array([4.0, 3, 2, 1.5]),
        np.array([1.0, 4, 1, 2]),
    )
    x, y = _turned(angles, x_scales, y_scales, width=width)
    # The offset's rounding, 1e-12, moves a correlation by its square, and by its product with the angle.
    found = measure(name).drift(measure(name)(x + offset, y + offset))
    assert found == pytest.approx(
        _closed_forms(angles, x_scales, y_scales)[name], rel=1e-6 if size < 1 or offset else 1e-10
    )


@pytest.mark.parametrize("width", [4, 90])
def test_a_gulp_distance_of_a_millionth_keeps_its_digits(width):
    scales = np.array([4.0, 3, 2, 1.5])
    angles = 1e-6 * np.array([0.1, 0.5, 0.9, 1.4])
    x, y = _turned(angles, scales, scales, width=width)
    expected = _closed_forms(angles, scales, scales)["gulp"]
    assert 1e-7 < expected < 1e-5
    assert measure("gulp")(x, y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_massive_feature_hides_the_others_from_nothing_but_what_weighs_by_variance(name):
    x, y = _pair(0, 5, 5)
    before = measure(name)(x, y)
    x[:, 2], y[:, 1] = 1e4 * x[:, 2], 1e4 * y[:, 1]
    after = measure(name)(x, y)
    if name in ("cca", "eigenspace_overlap"):
        assert after == pytest.approx(before, abs=1e-10)
    else:
        assert abs(after - before) > 1e-3
    # With the 16 digits of the massive features spent, the others still decide what they decided.
    assert measure(name)(x + 1e4, y - 1e4) == pytest.approx(after, abs=1e-8)


@pytest.mark.parametrize(("p", "q"), WIDTHS)
def test_correlations_are_cosines_of_the_angles_between_subspaces(p, q):
    x, y = _pair(1, p, q)
    cosines = np.cos(subspace_angles(_basis(x), _basis(y)))
    larger = max(min(p, 9), min(q, 9))
    assert len(cosines) == min(p, q, 9)
    assert measure("cca")(x, y) == pytest.approx(cosines.mean(), abs=1e-10)
    assert measure("eigenspace_overlap")(x, y) == pytest.approx(np.sum(cosines**2) / larger, abs=1e-10)


def _basis(x):
    """Spanning columns of a centred side of at most 9 directions: any 9 of its features span them."""
    return _centred(x)[:, :9]


def test_correlations_are_those_of_scikit_learn():
    from sklearn.cross_decomposition import CCA

    x, y = _pair(2, 3, 4, n=60)
    fitted = CCA(n_components=3, tol=1e-14, max_iter=20_000).fit(x, y)
    u, v = fitted.transform(x, y)
    correlations = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(3)]
    assert measure("cca")(x, y) == pytest.approx(np.mean(correlations), abs=1e-6)


def test_correlations_are_those_of_repsim():
    repsim = pytest.importorskip("repsim")
    (x, y), z = _pair(3, 5, 5), _pair(4, 5, 5)[0]
    # Its "pillai" is the mean of the correlations and its "yanai" that of their squares, over the smaller rank.
    mean, squares = repsim.cca([x, y, z], "pillai"), repsim.cca([x, y, z], "yanai")
    assert measure("cca")(x, y) == pytest.approx(mean[0, 1], abs=1e-10)
    assert measure("eigenspace_overlap")(y, z) == pytest.approx(squares[1, 2], abs=1e-10)
    # It weights by both sides in turn and takes the mean; the paper weights by the first.
    pwcca = measure("pwcca")
    assert (pwcca(x, y) + pwcca(y, x)) / 2 == pytest.approx(repsim.pwcca([x, y])[0, 1], abs=1e-10)
    assert abs(pwcca(x, y) - pwcca(y, x)) > 1e-3
    # Of sides that need all their components for 99 %. Of others, version 0.1.5 keeps all too, even those that hold
    # less than 1e-10 of the variance: its value is then that of its plain CCA, and not SVCCA's.
    svcca = measure("svcca")
    assert (svcca.prepare(x).rank, svcca.prepare(y).rank) == (5, 5)
    assert svcca(x, y) == pytest.approx(repsim.svcca([x, y], "pillai")[0, 1], abs=1e-10)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize(("p", "q"), WIDTHS)
def test_svcca_is_cca_of_the_fewest_components_of_that_share(share, p, q):
    x, y = _pair(6, p, q)
    scores, least = [], []
    for side in (_centred(x), _centred(y)):
        values, vectors = np.linalg.eigh(side.T @ side)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = min(side.shape[1], 9)
        shares = np.cumsum(values[:rank]) / np.sum(values[:rank])
        count = rank if share == 1 else next(k for k in range(1, rank + 1) if shares[k - 1] >= share)
        scores.append(side @ vectors[:, :count])
        least.append(count)
    assert measure("cca")(*scores) == pytest.approx(SingularVectorCca(share)(x, y), abs=1e-10)
    assert [SingularVectorCca(share).prepare(side).rank for side in (x, y)] == least
    for wrong in (0, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="share of the variance"):
            SingularVectorCca(wrong)


@pytest.mark.parametrize(("p", "q"), WIDTHS)
def test_pwcca_is_its_definition(p, q):
    # By the eigenvectors of Sxx^-1 Sxy Syy^-1 Syx, whose eigenvalues are the squared correlations.
    x, y = (_centred(side) for side in _pair(7, p, q))
    directions = np.linalg.pinv(x, rcond=1e-10) @ (y @ (np.linalg.pinv(y, rcond=1e-10) @ x))
    values, vectors = np.linalg.eig(directions)
    first = np.argsort(-values.real)[: min(p, q, 9)]
    total = weighted = 0.0
    for value, direction in zip(values.real[first], vectors.real[:, first].T, strict=True):
        variate = x @ direction
        variate /= np.linalg.norm(variate)
        weight = sum(abs(variate @ feature) for feature in x.T)
        total, weighted = total + weight, weighted + weight * np.sqrt(value)
    assert measure("pwcca")(x, y) == pytest.approx(weighted / total, abs=1e-9)


@pytest.mark.parametrize(("p", "q"), WIDTHS)
def test_regression_within_the_sample_is_that_of_scikit_learn(p, q):
    from sklearn.linear_model import LinearRegression

    x, y = _pair(8, p, q)
    for name, given, target in (("linear_regression", x, y), ("linear_regression_reverse", y, x)):
        residuals = target - LinearRegression().fit(given, target).predict(given)
        expected = 1 - np.sum(residuals**2) / np.sum(_centred(target) ** 2)
        assert measure(name)(x, y) == pytest.approx(expected, abs=1e-10)


def _gcv_penalty(x, y):
    """Find the penalty of least GCV error by the definition, with hat matrices written out, among quarters of a decade.

    In contrasts of samples, which leave out the mean: with more features than samples, tr(1 - hat) would else be lost
    beside it. Smaller penalties, where the inverse has no digits left, are not the best of these data.
    """
    n = len(x)
    x, y = helmert(n) @ x, helmert(n) @ y
    kernel = x @ x.T
    errors = {}
    for exponent in np.arange(-8, 4.1, 0.25):
        penalty = 10**exponent * np.trace(kernel) / np.linalg.matrix_rank(x)
        lost = penalty * np.linalg.inv(kernel + penalty * np.eye(n - 1))
        errors[penalty] = n * np.sum((lost @ y) ** 2) / np.trace(lost) ** 2
    return min(errors, key=errors.get)


@pytest.mark.parametrize(("n", "p", "q"), [(20, 5, 4), (20, 30, 25), (20, 25, 3), (20, 4, 25)])
@pytest.mark.parametrize("relation", [0, 0.3, 2])
def test_cross_validated_regression_is_the_refit_of_scikit_learn_without_each_sample(n, p, q, relation):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    g = np.random.default_rng(9)
    z = g.normal(size=(n, 2))
    x = g.normal(size=(n, p)) + relation * z @ g.normal(size=(2, p)) + 3
    y = g.normal(size=(n, q)) + relation * z @ g.normal(size=(2, q)) - 5
    for name, given, target in (("linear_regression_cv", x, y), ("linear_regression_cv_reverse", y, x)):
        model = Ridge(alpha=_gcv_penalty(given, target), solver="svd")
        predicted = cross_val_predict(model, given, target, cv=LeaveOneOut())
        means = (target.sum(axis=0) - target) / (n - 1)
        expected = 1 - np.sum((target - predicted) ** 2) / np.sum((target - means) ** 2)
        assert measure(name)(x, y) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "p"), [(60, 10), (60, 100)])
def test_the_penalty_is_nearly_as_good_as_the_best_one(n, p):
    from sklearn.linear_model import RidgeCV

    x, y = _pair(10, p, p, n=n)
    x, y = x + np.random.default_rng(11).normal(size=x.shape), y + np.random.default_rng(12).normal(size=y.shape)
    best = RidgeCV(alphas=10.0 ** np.arange(-3, 7), store_cv_results=True).fit(x, y)
    least = best.cv_results_.mean(axis=(0, 1)).min() * n * p
    value = 1 - least / (np.sum(_centred(y) ** 2) * (n / (n - 1)) ** 2)
    assert value > 0.1
    assert measure("linear_regression_cv")(x, y) == pytest.approx(value, abs=0.03)


def test_predictions_of_samples_left_out_know_nothing_of_noise():
    g = np.random.default_rng(13)
    for p in (20, 400):
        values = []
        for _ in range(5):
            x, y = g.normal(size=(2, 100, p))
            values.append(measure("linear_regression_cv")(x, y))
        assert np.abs(values).max() < 0.02
    x, y = g.normal(size=(2, 100, 20))
    assert measure("linear_regression")(x, y) == pytest.approx(20 / 99, abs=0.03)


@pytest.mark.parametrize("n", [4, 12, 25])
def test_an_odd_sample_among_equal_ones_is_not_predicted_and_the_others_are(n):
    # Its squared error is that of the mean; the others' errors, 1 / (n - 1) of it each by the mean, are gone.
    g = np.random.default_rng(9)
    for _ in range(4):
        x, y = np.tile(g.normal(size=(2, 1, 3)), (1, n, 1))
        x[1], y[1] = g.normal(size=(2, 3))
        assert measure("linear_regression_cv")(x, y) == pytest.approx(1 / n, abs=1e-9)


def test_a_sample_left_out_is_not_recovered_from_fewer_samples_than_features():
    g = np.random.default_rng(14)
    few, many = g.normal(size=(30, 20)), g.normal(size=(30, 60))
    assert measure("linear_regression_cv")(few, few) == pytest.approx(1, abs=1e-12)
    # The 29 other samples span about half of 60 equal directions. Without noise the smallest penalty is the best; in
    # its limit, the residual of a sample left out is (K^+ X)_i / (K^+)_ii.
    inverse = np.linalg.pinv(_centred(many) @ _centred(many).T, rcond=1e-10)
    residuals = inverse @ _centred(many) / np.diag(inverse)[:, None]
    expected = 1 - np.sum(residuals**2) / (np.sum(_centred(many) ** 2) * (30 / 29) ** 2)
    assert 0.4 < expected < 0.6
    assert measure("linear_regression_cv")(many, many) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("p", "q"), WIDTHS)
def test_gulp_is_the_traces_of_its_definition(p, q):
    x, y = (_centred(side) for side in _pair(15, p, q))
    n = len(x)
    x, y = (np.sqrt(n) * side / np.linalg.norm(side) for side in (x, y))
    xx, xy, yy = x.T @ x / n, x.T @ y / n, y.T @ y / n
    rx, ry = np.linalg.inv(xx + 0.01 * np.eye(p)), np.linalg.inv(yy + 0.01 * np.eye(q))
    squared = np.trace(rx @ xx @ rx @ xx) + np.trace(ry @ yy @ ry @ yy) - 2 * np.trace(rx @ xy @ ry @ xy.T)
    assert measure("gulp")(x, y) == pytest.approx(np.sqrt(squared), rel=1e-10)


def test_gulp_is_a_distance_that_reaches_its_bound():
    g = np.random.default_rng(16)
    a, b, c = (g.normal(size=(30, p)) for p in (6, 8, 50))
    gulp = measure("gulp")
    assert gulp(a, b) < gulp(a, c) + gulp(c, b)
    assert gulp(a, c) < gulp(a, b) + gulp(b, c)
    # 100 directions of equal variance on each side, none shared.
    axes = np.linalg.qr(_centred(g.normal(size=(250, 200))))[0]
    assert gulp(axes[:, :100], axes[:, 100:]) == pytest.approx(gulp.bounds[1], rel=1e-10)


@pytest.mark.parametrize("name", [*CORRELATIONS, "linear_regression", "linear_regression_reverse"])
def test_where_features_fill_the_samples_is_refused_and_not_a_number(name):
    g = np.random.default_rng(17)
    x, y = torch.tensor(g.normal(size=(2, 20, 25)))
    accumulator = PairedAccumulator(product_dtype=torch.float64)
    accumulator.update(x, [y])
    for compute in (lambda m: m(x, y), lambda m: m.from_moments(accumulator.result())):
        with pytest.raises(DegenerateInputError, match="needs? more samples than features") as error:
            compute(measure(name))
        assert "19" in str(error.value), "the rank is named"


def test_ranks_that_just_leave_a_dimension_are_compared():
    g = np.random.default_rng(18)
    x, y = g.normal(size=(20, 9)), g.normal(size=(20, 9))
    assert 0 < measure("cca")(x, y) < 1
    wide = np.hstack([y, y[:, :1] + g.normal(size=(20, 1))])
    with pytest.raises(DegenerateInputError, match="ranks 9 and 10"):
        measure("cca")(x, wide)
    twice = np.hstack([y, y])  # 18 features of rank 9
    assert measure("cca")(x, twice) == pytest.approx(measure("cca")(x, y), abs=1e-12)


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_streams_hold_with_massive_and_constant_features(name, kind):
    g = np.random.default_rng(19)
    x = g.normal(size=(80, 8)) + 100 * g.normal(size=8)
    x[:, 3] = 2.5
    x[:, 5] = 28_000 + 1000 * g.normal(size=80)
    y = x + 0.3 * g.normal(size=(80, 8)) * (np.arange(8) != 3)
    x, y = torch.tensor(x).to(kind), torch.tensor(y).to(kind)
    accumulator = PairedAccumulator(product_dtype=kind)
    for part in torch.arange(80).chunk(3):
        accumulator.update(x[part], [y[part]])
    # Gulp is the root of a difference of traces: float32 sums leave it three digits.
    tolerance = {torch.float64: 1e-8, torch.float32: 1e-3 if name == "gulp" else 2e-5}[kind]
    assert measure(name).from_moments(accumulator.result()) == pytest.approx(measure(name)(x, y), abs=tolerance)


def test_sums_that_cannot_tell_a_direction_from_rounding_say_so():
    g = np.random.default_rng(20)
    x, y = torch.tensor(g.normal(size=(2, 60, 6)))
    x[:, 5] = x[:, 4] + 1e-5 * x[:, 5]
    accumulator = PairedAccumulator()
    accumulator.update(x, [y])
    result = accumulator.result()
    for name in ("cca", "pwcca", "eigenspace_overlap", "linear_regression"):
        assert 0 < measure(name)(x, y) < 1
        with pytest.raises(DegenerateInputError, match="1 directions .* from the rows"):
            measure(name).from_moments(result)
    assert 0 < measure("linear_regression_reverse").from_moments(result) < 1, "what is predicted is not inverted"


def test_values_that_differ_by_rounding_alone_are_refused():
    x = np.full((10, 3), 1e8)
    x[::2] = np.nextafter(1e8, 2e8)
    with pytest.raises(DegenerateInputError, match="no more than rounding"):
        measure("cca")(x, np.random.default_rng(21).normal(size=(10, 3)))


@pytest.mark.parametrize("name", ["cca", "linear_regression", "gulp"])
def test_streamed_self_comparison_is_the_self_value(name):
    x = torch.tensor(np.random.default_rng(22).normal(size=(90, 6)))
    accumulator = PairedAccumulator(product_dtype=torch.float64)
    accumulator.update(x, [x])
    assert measure(name).from_moments(accumulator.result()) == pytest.approx(measure(name).self_value, abs=1e-7)
