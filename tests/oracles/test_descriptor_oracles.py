"""Descriptors, and differences of them, against scikit-learn, scipy, wider arithmetic and closed forms."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from repdrift.core.errors import DegenerateInputError, NonFiniteError
from repdrift.similarity import descriptor, measure
from repdrift.similarity.measures import directions
from repdrift.similarity.streaming import finalize, init, update

SHAPES = [(40, 6), (20, 50)]
DIFFERENCES = ["magnitude_difference", "concentricity_difference", "uniformity_difference"]
both_shapes = pytest.mark.parametrize("shape", SHAPES, ids=["more samples", "more features"])


def _rows(seed, shape=(40, 6)):
    g = np.random.default_rng(seed)
    n, p = shape
    return g.normal(size=(n, p)) * np.linspace(0.3, 3, p) + g.normal(size=p)


def _unit(x):
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True))


def _magnitude(x):
    return np.sqrt((x.mean(axis=0) ** 2).sum())


def _eccentricity(x):
    """1 - concentricity by the definition, in the precision of its input."""
    mean = x.mean(axis=0)
    return 1 - (_unit(x) @ (mean / np.sqrt((mean * mean).sum()))).mean()


def _uniformity(x):
    u = _unit(x)
    distances = [((u[i] - u[j]) ** 2).sum() for i in range(len(u)) for j in range(i)]
    return np.log1p(np.mean(np.expm1(-2 * np.array(distances))))


BY_DEFINITION = dict(zip(DIFFERENCES, (_magnitude, _eccentricity, _uniformity), strict=True))


@both_shapes
def test_rank_like_numbers_are_those_of_the_spectrum(shape):
    x = _rows(1, shape)
    eigenvalues = np.clip(np.linalg.eigvalsh(np.cov(x.T)), 0, None)
    assert descriptor("participation_ratio")(x) == pytest.approx(
        eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-12
    )
    shares = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    shares = shares[shares > 1e-12] / shares.sum()
    assert descriptor("effective_rank")(x) == pytest.approx(np.prod(shares**-shares), rel=1e-12)


@pytest.mark.parametrize("shape", [(60, 9), (60, 200)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_known_spectrum_has_its_numbers(shape, scale):
    """Rows around a large offset, with axes of given lengths, most of them 0; the first one may be massive."""
    n, p = shape
    g = np.random.default_rng(2)
    lengths = np.array([scale, 2.0, 1.0, 1.0])
    noise = g.normal(size=(n, 4))
    left = np.linalg.qr(noise - noise.mean(axis=0))[0]
    right = np.linalg.qr(g.normal(size=(p, 4)))[0]
    x = left * lengths @ right.T
    shares = lengths / lengths.sum()
    assert descriptor("effective_rank")(x) == pytest.approx(np.prod(shares**-shares), rel=1e-9)
    ratio = (lengths**2).sum() ** 2 / (lengths**4).sum()
    for offset in (0.0, 1e4):
        assert descriptor("participation_ratio")(x + offset) == pytest.approx(ratio, rel=1e-9)
        assert descriptor("isotropy")(x + offset) == pytest.approx((ratio - 1) / (p - 1), rel=1e-9, abs=1e-12)


def test_equal_axes_are_isotropic_and_of_full_rank():
    corners = np.array([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)])
    assert descriptor("isotropy")(corners) == pytest.approx(1, rel=1e-14)
    assert descriptor("participation_ratio")(corners) == pytest.approx(3, rel=1e-14)
    assert descriptor("effective_rank")(corners) == pytest.approx(3, rel=1e-14)
    flat = np.pad(corners[:, :1], [(0, 0), (0, 4)])
    assert descriptor("isotropy")(flat) == 0
    assert descriptor("effective_rank")(flat) == pytest.approx(1, rel=1e-12)
    with pytest.raises(DegenerateInputError, match="of a single feature isotropy is undefined"):
        descriptor("isotropy")(corners[:, :1])


def test_isotropy_is_isoscore_step_by_step():
    # The paper's algorithm, which turns the points first; it needs at least as many samples as features.
    x = _rows(3)
    p = x.shape[1]
    diagonal = np.var(PCA().fit_transform(x), axis=0)
    diagonal *= np.sqrt(p) / np.linalg.norm(diagonal)
    defect = np.linalg.norm(diagonal - 1) / np.sqrt(2 * (p - np.sqrt(p)))
    dimensions = (p - defect**2 * (p - np.sqrt(p))) ** 2 / p
    assert descriptor("isotropy")(x) == pytest.approx((dimensions - 1) / (p - 1), rel=1e-12)


@both_shapes
def test_directions_agree_with_scikit_learn_and_scipy(shape):
    x = _rows(4, shape)
    n = len(x)
    cosines = cosine_similarity(x)
    assert descriptor("anisotropy")(x) == pytest.approx((cosines.sum() - n) / (n * (n - 1)), rel=1e-12)
    to_mean = cosine_similarity(x, x.mean(axis=0, keepdims=True))
    assert descriptor("concentricity")(x) == pytest.approx(to_mean.mean(), rel=1e-12)
    uniformity = np.log(np.mean(np.exp(-2 * pdist(_unit(x), "sqeuclidean"))))
    assert descriptor("uniformity")(x) == pytest.approx(uniformity, rel=1e-12)
    assert descriptor("magnitude")(x) == pytest.approx(np.linalg.norm(x.mean(axis=0)), rel=1e-14)


def test_directions_of_a_regular_figure_have_closed_forms():
    simplex = np.eye(4) - 1 / 4  # every two of its corners at the cosine -1/3: the bounds for 4 samples
    assert descriptor("anisotropy")(simplex) == pytest.approx(-1 / 3, rel=1e-14)
    assert descriptor("uniformity")(simplex) == pytest.approx(-16 / 3, rel=1e-14)
    cross = np.eye(4)
    assert descriptor("anisotropy")(cross) == pytest.approx(0, abs=1e-15)
    assert descriptor("concentricity")(cross) == pytest.approx(0.5, rel=1e-14)
    assert descriptor("magnitude")(cross) == pytest.approx(0.5, rel=1e-14)
    with pytest.raises(DegenerateInputError, match="the mean of all samples is zero"):
        descriptor("concentricity")(simplex)


def test_rows_of_unequal_length_can_point_away_from_their_mean():
    x = np.array([[100.0, 0]] + [[-1.0, 0]] * 9)
    assert descriptor("concentricity")(x) == pytest.approx((1 - 9) / 10)


def test_uniformity_in_strips_is_uniformity_at_once(monkeypatch):
    x = _rows(5)
    whole = descriptor("uniformity")(x)
    for strip in (1, 7, 39):
        monkeypatch.setattr(directions, "_STRIP", strip)
        assert descriptor("uniformity")(x) == pytest.approx(whole, rel=1e-14)


def test_largest_activation_and_the_top_share_are_counted():
    x = _rows(6)
    x[4, 2] = -1e4
    assert descriptor("largest_activation")(x) == 1e4
    assert descriptor("largest_activation_share")(x) == pytest.approx(
        np.var(x[:, 2]) / np.var(x, axis=0).sum(), rel=1e-12
    )


@pytest.mark.parametrize("name", ["anisotropy", "concentricity", "uniformity"])
def test_a_row_without_direction_is_named(name):
    x = _rows(7)
    x[5] = 0
    with pytest.raises(DegenerateInputError, match="sample 5 is a vector of zeros"):
        descriptor(name)(x)


def test_a_row_beside_a_massive_one_has_its_direction():
    x = _rows(8)
    scaled = x * np.where(np.arange(len(x)) == 3, 1e-300, 1e300)[:, None]
    for name in ("anisotropy", "uniformity"):
        assert descriptor(name)(scaled) == pytest.approx(descriptor(name)(x), rel=1e-12)


def test_the_mean_of_the_largest_numbers_has_its_length():
    largest = np.finfo(np.float64).max
    assert descriptor("magnitude")(np.full((8, 1), largest)) == largest
    with pytest.raises(NonFiniteError, match="too large for float64"):
        descriptor("magnitude")(np.full((8, 2), largest))


@both_shapes
def test_the_spread_of_streamed_sums_is_that_of_descriptors(shape):
    x, y = (torch.tensor(_rows(seed, shape) + 30) for seed in (8, 9))
    state = init(1, product_dtype=torch.float64)
    for part in (slice(0, 7), slice(7, None)):
        update(state, x[part], [y[part]])
    result = finalize(state)
    for side, spread in ((x, result.base), (y, result.tuned)):
        assert descriptor("largest_activation_share")(side) == pytest.approx(spread.top_share, rel=1e-10)
        assert descriptor("participation_ratio")(side) == pytest.approx(spread.participation_ratio, rel=1e-10)
        assert descriptor("largest_activation")(side) == spread.largest_activation


@pytest.mark.parametrize("name", DIFFERENCES)
@both_shapes
def test_differences_are_differences_of_descriptors(name, shape):
    x, y = _rows(10, shape), 1.5 * _rows(11, shape) + 0.3
    of = descriptor(name.removesuffix("_difference"))
    assert measure(name)(x, y) == pytest.approx(abs(of(y) - of(x)), rel=1e-10)
    assert measure(name)(x, y) == pytest.approx(abs(BY_DEFINITION[name](y) - BY_DEFINITION[name](x)), rel=1e-10)
    assert measure(name)(x, y) > 0.01


@pytest.mark.parametrize("name", DIFFERENCES)
@pytest.mark.parametrize("case", ["plain", "offset features", "massive feature", "duplicated samples", "bfloat16"])
@both_shapes
def test_a_change_by_a_millionth_agrees_with_extended_precision(name, case, shape):
    x = _rows(12, shape)
    if case == "offset features":
        x += 1e4
    elif case == "massive feature":
        x[:, 1] = 1e4 * x[:, 1] + 3e4
    elif case == "duplicated samples":
        x[1::2] = x[::2]
    elif case == "bfloat16":
        x = torch.tensor(x).bfloat16().double().numpy()
    y = x + 1e-6 * np.abs(x).mean(axis=0) * np.random.default_rng(13).normal(size=shape)
    wide_x, wide_y = (np.asarray(v, dtype=np.longdouble) for v in (x, y))
    exact = float(abs(BY_DEFINITION[name](wide_y) - BY_DEFINITION[name](wide_x)))
    given = torch.tensor(x).bfloat16() if case == "bfloat16" else x
    assert exact > 0
    assert measure(name)(given, y) == pytest.approx(exact, rel=1e-4, abs=0)
