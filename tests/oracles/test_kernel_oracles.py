"""CKA with other kernels and scalings, against definitions, peers and extended precision."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import t as student_t
from sklearn.metrics.pairwise import rbf_kernel

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity import Representation, measure
from repdrift.similarity.geometry.distances import squared_distances
from repdrift.similarity.kernels.rbf import median_distance
from repdrift.similarity.measures.cka import RbfCka
from repdrift.similarity.streaming import PairedAccumulator

# Pairs of samples in odd and even number, and features on either side of n.
SHAPES = [(15, 4), (16, 4), (15, 40), (16, 40)]


def _pair(n, p, q=None, noise=1.0, seed=0):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, p)) * np.linspace(0.5, 3, p) + 2
    y = (x if q is None else x @ g.normal(size=(p, q))) + noise * g.normal(size=(n, q or p))
    return x, y, g


def _hsic(k, l_):
    """Song et al. 2012, eq. 5, of any two kernel matrices, in their precision."""
    n = len(k)
    k, l_ = k * (1 - np.eye(n)), l_ * (1 - np.eye(n))
    cross = k.sum(axis=0) @ l_.sum(axis=0)
    return ((k * l_).sum() + k.sum() * l_.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))


def _hsic_by_quadruples(k, l_):
    """The U-statistic over all ordered quadruples, of the kernels as they stand."""
    return np.mean(
        [k[i, j] * (l_[i, j] + l_[q, r] - 2 * l_[i, q]) for i, j, q, r in permutations(range(len(k)), 4)]
    )  # fmt: skip


def _cka(k, l_, hsic=_hsic):
    return hsic(k, l_) / np.sqrt(hsic(k, k)) / np.sqrt(hsic(l_, l_))


def _linear(x):
    centred = x - x.mean(axis=0)
    return centred @ centred.T


def _gaussian(x, factor=1.0):
    return rbf_kernel(x, gamma=1 / (2 * (factor * np.median(pdist(x))) ** 2))


def _exact_gaussian(x):
    """The Gaussian kernel in extended precision, less its common part, so that sums lose nothing."""
    x = np.asarray(torch.as_tensor(x).double(), dtype=np.longdouble)
    squares = np.square(x[:, None] - x).sum(axis=2)
    scale = np.median(np.sqrt(squares[np.triu_indices(len(x), 1)]))
    return np.expm1(-squares / (2 * scale**2))


def _exact_standardized(x):
    x = np.asarray(torch.as_tensor(x).double(), dtype=np.longdouble)
    centred = x - x.mean(axis=0)
    scores = centred / np.sqrt(np.square(centred).mean(axis=0))
    return scores @ scores.T


def _hard_pair(case, p):
    """A base and a tuned representation of 60 samples and p features that drifted by about a millionth."""
    g = np.random.default_rng(4)
    x = g.normal(size=(60, p)) * np.linspace(0.5, 3, p)
    noise, size, shift = g.normal(size=(60, p)), 1e-3, 0.0
    if case == "offset features":
        shift = 1e4 * g.normal(size=p)
    elif case == "massive feature":
        x[:, 1], noise[:, 1] = 1e4 * g.normal(size=60) + 1e5, 1e4 * noise[:, 1]
    elif case == "massive sample":
        x[0] *= 100
    elif case == "duplicated samples":
        x[30:], noise[30:] = x[:30], noise[:30]
    elif case == "close samples":  # most pairs lie a thousand times nearer than the farthest
        x[:50] *= 1e-3
        noise[:50] *= 1e-3
        x[50:] += 3
    elif case == "rank 2":
        x, noise = x[:, :2] @ g.normal(size=(2, p)), noise[:, :2] @ g.normal(size=(2, p))
    y = x + size * noise
    if case == "bfloat16":
        return torch.tensor(x).bfloat16(), torch.tensor(x * (1 + 1e-2 * noise)).bfloat16()
    if case == "float16":
        return torch.tensor(x).half(), torch.tensor(y).half()
    return x + shift, y + shift


CASES = [
    "plain",
    "offset features",
    "massive feature",
    "massive sample",
    "duplicated samples",
    "close samples",
    "rank 2",
    "bfloat16",
    "float16",
]


# --- Gaussian kernel


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_gaussian_cka_is_its_definition_on_scikit_learns_kernel(n, p, factor):
    x, y, _ = _pair(n, p, 7)
    assert RbfCka(factor)(x, y) == pytest.approx(_cka(_gaussian(x, factor), _gaussian(y, factor)), abs=1e-11)
    if factor == 1:
        assert measure("cka_rbf")(x, y) == RbfCka()(x, y)


def test_gaussian_cka_is_the_u_statistic_over_quadruples():
    x, y, _ = _pair(7, 3, 4)
    assert measure("cka_rbf")(x, y) == pytest.approx(
        _cka(_gaussian(x), _gaussian(y), _hsic_by_quadruples), abs=1e-12
    )  # fmt: skip


def test_unbiased_hsic_does_not_see_constants_and_terms_of_one_sample():
    # What the U-centred kernel rests on.
    x, y, g = _pair(7, 3, 4)
    a = g.normal(size=7)
    changed = _gaussian(x) + 5 + a[:, None] + a
    for hsic in (_hsic, _hsic_by_quadruples):
        assert hsic(changed, _gaussian(y)) == pytest.approx(hsic(_gaussian(x), _gaussian(y)), abs=1e-13)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_the_width_of_the_kernel_is_numpys_median_of_the_distances(n, p):
    x, _, _ = _pair(n, p)
    assert median_distance(Representation(x)) == pytest.approx(np.median(pdist(x)), rel=1e-13)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_gaussian_cka_agrees_with_ckatorch_given_the_same_widths(n, p):
    from ckatorch import center_gram_matrix
    from ckatorch import rbf_kernel as peers_kernel

    x, y, _ = _pair(n, p, 7)
    tables = []
    for side in (x, y):
        # Its median is of squares, over all n^2 of them with the zeros of the diagonal, and the lower of a middle two:
        # its s is smaller. Ours is what the paper says, the median distance between examples.
        squares = np.square(side[:, None] - side).sum(axis=2)
        its = float(torch.tensor(squares).median())
        assert its < np.median(pdist(side)) ** 2
        threshold = np.median(pdist(side)) / np.sqrt(its)
        tables.append(center_gram_matrix(peers_kernel(torch.tensor(side), threshold), unbiased=True).numpy())
    k, l_ = tables
    assert measure("cka_rbf")(x, y) == pytest.approx((k * l_).sum() / np.linalg.norm(k) / np.linalg.norm(l_), abs=1e-12)


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize(("name", "kernel"), [("cka_rbf", "rbf"), ("cka_standardized", "linear")])
def test_cka_is_the_ratio_of_repsims_unbiased_hsic(n, p, name, kernel):
    repsim = pytest.importorskip("repsim")
    x, y, _ = _pair(n, p, 7)
    scores = [x, y] if name == "cka_rbf" else [(v - v.mean(axis=0)) / v.std(axis=0) for v in (x, y)]
    # Its own cka(..., estimator="song") divides the unbiased HSIC by biased ones, so that x with x is not 1; ours
    # divides like by like, as Nguyen et al. 2021 and Murphy et al. 2024 do.
    h = repsim.hsic(scores, kernel, "song")
    assert measure(name)(x, y) == pytest.approx(h[0, 1] / np.sqrt(h[0, 0] * h[1, 1]), abs=1e-12)
    assert repsim.cka(scores, kernel, "song")[0, 1] != pytest.approx(measure(name)(x, y), abs=1e-3)


@pytest.mark.parametrize("p", [6, 80])
@pytest.mark.parametrize("case", CASES)
def test_a_gaussian_drift_of_a_millionth_agrees_with_extended_precision(case, p):
    x, y = _hard_pair(case, p)
    exact = float(1 - _cka(_exact_gaussian(x), _exact_gaussian(y)))
    assert 1e-9 < exact < 1e-3
    assert 1 - measure("cka_rbf")(x, y) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("p", [6, 80])
def test_a_wide_gaussian_is_the_linear_kernel(p):
    # exp(-d^2 / 2s^2) = 1 - d^2 / 2s^2 + O(s^-4), and -d_ij^2 / 2 is x_i'x_j but for terms of one sample.
    x, y, _ = _pair(40, p, noise=0.01)
    drifts = [1 - RbfCka(factor)(x, y) for factor in (1e2, 1e4)]
    linear = 1 - measure("cka")(x, y)
    assert drifts == [pytest.approx(linear, rel=1e-2), pytest.approx(linear, rel=1e-6)]


def test_two_groups_of_equal_samples_are_alike_however_far_apart_they_lie():
    # Only two values of the kernel, of which one is common to all pairs: nothing but the groups is left.
    g = np.random.default_rng(5)
    group = np.arange(12) % 2
    x, y = (g.normal(size=(2, p))[group] for p in (3, 30))
    assert measure("cka_rbf")(x, y) == pytest.approx(1, abs=1e-12)
    other = g.normal(size=(2, 4))[np.arange(12) // 6]
    # Balanced groups that cross: by the counts of pairs, n = 12, 6 a group, 3 in both.
    same = [(np.equal.outer(v, v) - np.eye(12)) for v in (group, np.arange(12) // 6)]
    assert measure("cka_rbf")(x, other) == pytest.approx(_cka(*same), abs=1e-12)


@pytest.mark.parametrize("close", ["pairs", "groups"])
def test_distances_of_close_samples_keep_their_digits(close):
    g = np.random.default_rng(6)
    x = g.normal(size=(40, 9))
    x[20:] = x[np.arange(20) if close == "pairs" else 0] + 1e-7 * g.normal(size=(20, 9))
    x[39] = x[19]
    found = squared_distances(Representation(x)).numpy()
    wide = x.astype(np.longdouble)
    exact = np.square(wide[:, None] - wide).sum(axis=2).astype(np.float64)
    assert found == pytest.approx(exact, rel=1e-8, abs=0)  # a difference of 1e-7 of numbers of 16 digits has 9
    assert np.array_equal(found, found.T)
    assert found[19, 39] == 0


def test_leaving_a_sample_out_of_the_gaussian_kernel_is_the_smaller_kernel_of_the_same_width():
    x, y, _ = _pair(12, 5, noise=0.3)
    k, l_ = _gaussian(x), _gaussian(y)

    def without(i):
        kept = np.delete(np.arange(12), i)
        return _cka(k[np.ix_(kept, kept)], l_[np.ix_(kept, kept)])

    logs = np.log([1 - without(i) for i in range(12)])
    error = np.sqrt(11 / 12 * np.sum((logs - logs.mean()) ** 2))
    m = measure("cka_rbf")
    low, high = m.interval(m.prepare(x), m.prepare(y), confidence=0.9)
    middle = np.log(1 - _cka(k, l_))
    reach = student_t(11).ppf(0.95) * error
    assert (1 - low, 1 - high) == pytest.approx((np.exp(middle + reach), np.exp(middle - reach)), rel=1e-9)


def test_gaussian_kernels_without_a_width_or_without_variation_are_degenerate():
    x, y, g = _pair(30, 5)
    m = measure("cka_rbf")
    half = np.where(np.arange(30)[:, None] < 22, x[:1], x)  # 231 of 435 pairs are equal
    with pytest.raises(DegenerateInputError, match="median distance between samples is 0"):
        m(half, y)
    assert np.isfinite(m(np.where(np.arange(30)[:, None] < 21, x[:1], x), y))  # 210 of 435
    for simplex in (np.eye(30), 7 * np.eye(30)[:, g.permutation(30)] + g.normal(size=30)):
        with pytest.raises(DegenerateInputError, match="equally far apart"):
            m(simplex, y)
    with pytest.raises(DegenerateInputError, match="as wide as 0.001 median distances"):
        RbfCka(1e-3)(np.linspace(0, 1, 30)[:, None], y)
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ConfigError, match="positive number of median distances"):
            RbfCka(wrong)


@pytest.mark.parametrize("name", ["cka_rbf", "cka_standardized", "cka_standardized_biased", "cka_minibatch"])
@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("p", [5, 50])
def test_extreme_scales_neither_overflow_nor_vanish(name, p, scale):
    x, y, _ = _pair(20, p)
    assert measure(name)(x * scale, y) == pytest.approx(measure(name)(x, y), abs=1e-13)


# --- Standardised features


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_standardised_cka_is_cka_of_z_scores(n, p):
    x, y, _ = _pair(n, p, 7)
    scores = [(v - v.mean(axis=0)) / v.std(axis=0, ddof=1) for v in (x, y)]
    assert measure("cka_standardized")(x, y) == pytest.approx(_cka(*(s @ s.T for s in scores)), abs=1e-12)


@pytest.mark.parametrize("p", [4, 40])
def test_biased_standardised_cka_is_made_of_correlations_streamed_and_not(p):
    x, y, _ = _pair(16, p, 7 if p == 4 else None)
    both = np.corrcoef(x, y, rowvar=False)
    norms = [np.linalg.norm(both[a, b]) for a, b in ((slice(p), slice(p)), (slice(p, None), slice(p, None)))]
    expected = np.linalg.norm(both[:p, p:]) ** 2 / norms[0] / norms[1]
    assert measure("cka_standardized_biased")(x, y) == pytest.approx(expected, abs=1e-12)
    if p == 40:
        folded = PairedAccumulator(product_dtype=torch.float64)
        for part in (slice(5), slice(5, None)):
            folded.update(torch.tensor(x[part]), [torch.tensor(y[part])])
        assert measure("cka_standardized_biased").from_moments(folded.result()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kernel", ["unbiased", "biased"])
def test_standardised_cka_agrees_with_ckatorch_on_z_scores(kernel):
    from ckatorch.core import cka_base
    from sklearn.preprocessing import StandardScaler

    x, y, _ = _pair(16, 40, 7)
    scores = [torch.tensor(StandardScaler().fit_transform(v)) for v in (x, y)]
    name = "cka_standardized" if kernel == "unbiased" else "cka_standardized_biased"
    assert measure(name)(x, y) == pytest.approx(float(cka_base(*scores, unbiased=kernel == "unbiased")), abs=1e-12)


@pytest.mark.parametrize("p", [10, 80])
@pytest.mark.parametrize("case", CASES)
def test_a_standardised_drift_of_a_millionth_agrees_with_extended_precision(case, p):
    x, y = _hard_pair(case, p)
    exact = float(1 - _cka(_exact_standardized(x), _exact_standardized(y)))
    assert 1e-9 < exact < 1e-3
    assert 1 - measure("cka_standardized")(x, y) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("name", ["cka", "cka_minibatch", "cka_standardized"])
@pytest.mark.parametrize("p", [1, 10, 80])
@pytest.mark.parametrize("longer", [1e4, 1e6])
def test_a_drift_beside_a_sample_a_million_times_as_long_agrees_with_extended_precision(name, p, longer):
    g = np.random.default_rng(14)
    x = g.normal(size=(30, p)) + 3
    x[4] *= longer
    y = x + 1e-3 * np.abs(x) * g.normal(size=x.shape)
    z = g.normal(size=x.shape)
    # About the medians and with 64 bits of mantissa; about the means the definition itself would lose 12 of 19 digits.
    wide = [np.asarray(v, dtype=np.longdouble) for v in (x, y, z)]
    wide = [v - np.median(v, axis=0) for v in wide]
    if name == "cka_standardized":
        wide = [v / v.std(axis=0) for v in wide]
    k, *others = (v @ v.T for v in wide)
    for other, given in zip(others, (y, z), strict=True):
        exact = float(1 - _cka(k, other))
        m = measure(name)
        px, py = m.prepare(x), m.prepare(given)
        assert 1 - m.compare(px, py) == pytest.approx(exact, rel=1e-4)
        assert 1 - m.compare_all([px], [py])[0, 0] == pytest.approx(exact, rel=1e-4)
        order = g.permutation(30)
        assert m.mispaired(px, py, order[None])[0] == pytest.approx(m(x, given[order]), abs=1e-9)


@pytest.mark.parametrize("name", ["cka_standardized", "cka_standardized_biased"])
@pytest.mark.parametrize("p", [5, 50])
def test_features_that_do_not_vary_carry_nothing(name, p):
    x, y, _ = _pair(20, p)
    value = measure(name)(x, y)
    wide = np.insert(x, [0, 2, 4], [0.1, 1e4 / 3, 0.0], axis=1)
    assert measure(name)(wide, y) == pytest.approx(value, abs=1e-13)
    wide[::2, 0] += np.spacing(wide[0, 0])  # rounding of equal values is no variation: float64 holds 1e-16 of them
    assert measure(name)(wide, y) == pytest.approx(value, abs=1e-13)
    with pytest.raises(DegenerateInputError, match="no feature of the 20 samples varies by more than rounding"):
        measure(name)(wide[:, [0, 3]], y)
    scaled = x * 10.0 ** np.linspace(
        -250, 40, p
    )  # features so unlike in size that squares of some vanish beside others
    assert measure(name)(scaled, y) == pytest.approx(value, abs=1e-12)
