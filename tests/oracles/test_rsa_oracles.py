"""RSA against distances and ranks written out in extended precision, scipy, rsatoolbox and closed forms."""

import warnings
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.arrays import centred
from repdrift.similarity.geometry.distances import squared_row_distances
from repdrift.similarity.measures.rsa import PairOrder, tied_groups

SCIPY = {"pearson": pearsonr, "spearman": spearmanr, "kendall": kendalltau}
KINDS = ["correlation", "euclidean"]
CASES = [
    "plain",
    "offset features",
    "massive feature",
    "massive sample",
    "duplicated samples",
    "near duplicates",
    "rank 2",
    "bfloat16",
]

every_kind = pytest.mark.parametrize("kind", KINDS)
every_statistic = pytest.mark.parametrize("statistic", SCIPY)


def _distances(x, kind):
    """Distances of all pairs, pair by pair, with a 64-bit mantissa. Equal rows give equal distances."""
    x = np.asarray(x, dtype=np.longdouble)
    if kind == "correlation":
        x = x - x.mean(axis=1, keepdims=True)
        x = x / np.sqrt((x**2).sum(axis=1, keepdims=True))
        return np.array([((a - b) ** 2).sum() / 2 for a, b in combinations(x, 2)])
    return np.array([np.sqrt(((a - b) ** 2).sum()) for a, b in combinations(x, 2)])


def _correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def _pair(case, p=9, n=30):
    g = np.random.default_rng(len(case) + p)
    x = g.normal(size=(n, p))
    noise = g.normal(size=(n, p))
    if case == "massive feature":
        x[:, 1], noise[:, 1] = 1e4 * np.abs(x[:, 1]) + 2e4, 1e3 * noise[:, 1]
    elif case == "massive sample":
        x[0] *= 1e4
    elif case == "duplicated samples":
        x[n // 2 :], noise[n // 2 :] = x[: n // 2], noise[: n // 2]
    elif case == "near duplicates":
        x[n // 2 :], noise[n // 2 :] = x[: n // 2] + 1e-6 * noise[n // 2 :], noise[: n // 2]
    elif case == "rank 2":
        x, noise = x[:, :2] @ g.normal(size=(2, p)), noise[:, :2] @ g.normal(size=(2, p))
    y = x + 0.3 * noise
    if case == "offset features":
        x, y = x + 1e4, y + 1e4 * g.normal(size=p)
    if case == "bfloat16":
        return torch.tensor(x).bfloat16(), torch.tensor(y).bfloat16()
    return x, y


@every_kind
@every_statistic
@pytest.mark.parametrize(("case", "p"), [*((case, 9) for case in CASES), ("plain", 50), ("massive feature", 50)])
def test_rsa_is_the_correlation_of_distances_of_all_pairs(kind, statistic, case, p):
    x, y = _pair(case, p)
    exact = [v.double().numpy() if isinstance(v, torch.Tensor) else v for v in (x, y)]
    a, b = (_distances(v, kind).astype(np.float64) for v in exact)
    expected = SCIPY[statistic](a, b).statistic
    assert expected < 1 - 1e-11
    assert measure(f"rsa_{kind}_{statistic}")(x, y) == pytest.approx(expected, abs=1e-10)


@every_kind
@every_statistic
def test_rsa_agrees_with_rsatoolbox(kind, statistic):
    import rsatoolbox as toolbox

    x, y = _pair("plain", 12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rdms = [toolbox.rdm.calc_rdm(toolbox.data.Dataset(v), method=kind) for v in (x, y)]
        if kind == "euclidean":  # the peer's are squared distances divided by the number of features
            rdms = [toolbox.rdm.sqrt_transform(rdm) for rdm in rdms]
        method = {"pearson": "corr", "spearman": "spearman", "kendall": "tau-b"}[statistic]
        peer = float(toolbox.rdm.compare(*rdms, method=method)[0, 0])
    assert measure(f"rsa_{kind}_{statistic}")(x, y) == pytest.approx(peer, abs=1e-12)


@every_kind
@pytest.mark.parametrize("p", [9, 50])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_a_drift_of_a_millionth_agrees_with_extended_precision(kind, p, offset):
    g = np.random.default_rng(p)
    x = g.normal(size=(40, p))
    y = x + 1e-3 * g.normal(size=(40, p))
    x, y = x + offset, y + offset
    a, b = _distances(x, kind), _distances(y, kind)
    exact = float(1 - _correlation(a, b))
    assert 1e-8 < exact < 1e-4
    assert 1 - measure(f"rsa_{kind}_pearson")(x, y) == pytest.approx(exact, rel=1e-6)
    ranks = [rankdata(d.astype(np.float64)).astype(np.longdouble) for d in (a, b)]
    exact = float(1 - _correlation(*ranks))
    assert 1e-8 < exact < 1e-4
    assert 1 - measure(f"rsa_{kind}_spearman")(x, y) == pytest.approx(exact, rel=1e-6)


def test_points_on_a_line_have_the_values_worked_out_by_hand():
    # Distances x: 1 3 7 2 6 4; y, with the third and fourth point exchanged: 1 7 3 6 2 4. Means 23/6 each;
    # sums of squares 115, of products 1 + 21 + 21 + 12 + 12 + 16 = 83. By rising x, y is 1 6 7 4 2 3: of 15 pairs of these
    # 8 stand in the wrong order.
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    y = x[[0, 1, 3, 2]]
    assert measure("rsa_euclidean_pearson")(x, y) == pytest.approx((83 - 529 / 6) / (115 - 529 / 6), abs=1e-12)
    assert measure("rsa_euclidean_kendall")(x, y) == pytest.approx((15 - 2 * 8) / 15, abs=1e-12)
    # Ranks by rising x: 1 5 6 4 2 3 of y; squared differences 0 9 9 0 9 9.
    assert measure("rsa_euclidean_spearman")(x, y) == pytest.approx(1 - 6 * 36 / (6 * 35), abs=1e-12)


@pytest.mark.parametrize("distinct", [2, 7, 10_000])
@pytest.mark.parametrize("m", [3, 64, 300])
def test_kendall_is_its_definition_over_all_pairs_with_and_without_ties(m, distinct):
    g = np.random.default_rng(m + distinct)
    a = g.integers(0, distinct, size=m).astype(float)
    b = np.where(g.random(m) < 0.5, a, g.integers(0, distinct, size=m))
    a[0], a[1], b[0], b[1] = 0, 1, 1, 0
    signs = [np.sign(v[:, None] - v[None]) for v in (a, b)]
    expected = (signs[0] * signs[1]).sum() / np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
    orders = [PairOrder(tied_groups(torch.tensor(v), 0.0), m) for v in (a, b)]
    kendall = measure("rsa_euclidean_kendall")
    assert kendall.compare(*orders) == pytest.approx(expected, abs=1e-14)
    assert kendall.compare(orders[0], orders[0]) == pytest.approx(1, abs=1e-15)
    assert np.array_equal(orders[0].average_ranks.numpy(), rankdata(a))


@pytest.mark.parametrize("statistic", ["spearman", "kendall"])
def test_exact_ties_of_a_lattice_survive_rotation_translation_and_scaling(statistic):
    g = np.random.default_rng(3)
    lattice = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(27, 3)
    other = lattice + 0.2 * g.normal(size=lattice.shape)
    m = measure(f"rsa_euclidean_{statistic}")
    # Squared distances are whole numbers, whose ties are exact; roots keep order and ties.
    squares = [round(float(d) ** 2) for d in _distances(lattice, "euclidean")]
    expected = SCIPY[statistic](squares, _distances(other, "euclidean").astype(np.float64)).statistic
    assert m(lattice, other) == pytest.approx(expected, abs=1e-12)
    for _ in range(5):
        turn = np.linalg.qr(g.normal(size=(3, 3)))[0]
        moved = 3.7 * (lattice @ turn) + 5 * g.normal(size=3)
        assert m(moved, other) == pytest.approx(expected, abs=1e-12)
        assert m(moved, lattice) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("close", [2, 40], ids=["few close pairs", "all pairs close"])
def test_distances_of_near_duplicates_keep_their_digits(close):
    g = np.random.default_rng(5)
    x = g.normal(size=(40, 20))
    x[:close] = x[0] + 1e-9 * g.normal(size=(close, 20))
    if close == 40:  # two tight groups, far from each other
        x[20:] += 1.0
    x[1] = x[0]
    found = squared_row_distances(centred(torch.tensor(x))).sqrt().numpy()
    assert found[0, 1] == 0
    assert np.array_equal(found, found.T)
    i, j = np.triu_indices(40, 1)
    exact = _distances(x, "euclidean").astype(np.float64)
    error = np.abs(found[i, j] - exact)
    # Centring rounds rows of about length 5 to 1e-16 of it: 1e-15 is 1e-6 of the distances of 5e-9.
    assert error.max() < 1e-13
    assert error[exact < 1e-6].max() < 1e-14


def test_what_has_no_distances_to_correlate_is_refused():
    x, y = _pair("plain")
    flat = np.array(x)
    flat[4] = 2.5
    for statistic in SCIPY:
        with pytest.raises(DegenerateInputError, match="all features of sample 4 are equal"):
            measure(f"rsa_correlation_{statistic}")(flat, y)
        for kind in KINDS:
            m = measure(f"rsa_{kind}_{statistic}")
            with pytest.raises(DegenerateInputError, match="all pairs of the 30 samples are equally far apart"):
                m(np.eye(30), y)
        measure(f"rsa_euclidean_{statistic}")(flat, y)


@pytest.mark.parametrize("statistic", SCIPY)
def test_a_correlation_over_features_does_not_see_how_small_a_sample_is(statistic):
    x, y = _pair("plain")
    scaled = x * np.where(np.arange(30) == 4, 1e-300, 1e300)[:, None]
    m = measure(f"rsa_correlation_{statistic}")
    assert m(scaled, y) == pytest.approx(m(x, y), abs=1e-12)


def test_features_of_zeros_change_a_correlation_over_features_only():
    x, y = _pair("plain")
    padded = np.pad(x, [(0, 0), (0, 5)])
    for statistic, correlate in SCIPY.items():
        euclidean, correlation = (measure(f"rsa_{kind}_{statistic}") for kind in ("euclidean", "correlation"))
        assert euclidean(padded, y) == pytest.approx(euclidean(x, y), abs=1e-10)
        a, b = (_distances(v, "correlation").astype(np.float64) for v in (padded, y))
        assert correlation(padded, y) == pytest.approx(correlate(a, b).statistic, abs=1e-10)
        assert abs(correlation(padded, y) - correlation(x, y)) > 1e-4


@every_kind
@every_statistic
def test_a_grid_of_layers_with_themselves_is_each_with_each(kind, statistic):
    m = measure(f"rsa_{kind}_{statistic}")
    sides = [m.prepare(v) for p in (9, 20) for v in _pair("duplicated samples", p)]
    found = m.compare_all(sides, sides)
    assert found.ravel() == pytest.approx([m.compare(x, y) for x in sides for y in sides], abs=1e-12)
    assert np.diag(found) == pytest.approx(1, abs=1e-12)


def test_a_real_sample_set_is_ranked_without_accidental_ties():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, 64, generator=g)
    y = x + 0.5 * torch.randn(300, 64, generator=g)
    for kind in KINDS:
        m = measure(f"rsa_{kind}_kendall")
        assert len(m.prepare(x).groups.unique()) == 300 * 299 // 2
        assert 0.3 < m(x, y) < 0.9
