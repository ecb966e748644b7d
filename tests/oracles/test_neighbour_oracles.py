"""Measures of neighbourhoods against plain sets in extended precision, scikit-learn, chance and closed forms."""

from itertools import permutations

import numpy as np
import pytest
import torch

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import measure

OF_SETS = ["mutual_knn", "neighbour_jaccard"]
ALL = [*OF_SETS, "rank_similarity", "second_order_cosine"]
CASES = ["plain", "offset features", "massive feature", "massive sample", "rank 2", "bfloat16"]


def _cosines(x):
    x = np.asarray(x, dtype=np.longdouble)
    x = x / np.sqrt((x**2).sum(axis=1, keepdims=True))
    return np.array([[(a * b).sum() for b in x] for a in x])


def _neighbours(cosines, k):
    """Lists of neighbours, nearest first. Without ties only."""
    return [[j for j in sorted(range(len(row)), key=lambda j: -row[j]) if j != i][:k] for i, row in enumerate(cosines)]


def _by_definition(name, x, y):
    cosines = _cosines(x), _cosines(y)
    k = min(10, len(x) - 1)
    values = []
    for i, (a, b) in enumerate(zip(*(_neighbours(c, k) for c in cosines), strict=True)):
        common, union = set(a) & set(b), sorted(set(a) | set(b))
        if name == "mutual_knn":
            values.append(len(common) / k)
        elif name == "neighbour_jaccard":
            values.append(len(common) / len(union))
        elif name == "rank_similarity":
            ranks = [(a.index(j) + 1, b.index(j) + 1) for j in common]
            total = sum(2 / ((1 + abs(r - s)) * (r + s)) for r, s in ranks)
            values.append(total / sum(1 / i for i in range(1, len(common) + 1)) if common else 0.0)
        else:
            s, t = (np.array([c[i, j] for j in union]) for c in cosines)
            values.append((s * t).sum() / np.sqrt((s * s).sum() * (t * t).sum()))
    return np.mean(values)


def _pair(case, p=9, n=40, noise=0.5):
    g = np.random.default_rng(len(case) + p)
    x = g.normal(size=(n, p))
    e = g.normal(size=(n, p))
    if case == "massive feature":
        x[:, 1], e[:, 1] = 1e4 * x[:, 1] + 2e4, 1e3 * e[:, 1]
    elif case == "massive sample":
        x[0] *= 1e4
    elif case == "rank 2":
        x, e = x[:, :2] @ g.normal(size=(2, p)), e[:, :2] @ g.normal(size=(2, p))
    y = x + noise * e
    if case == "offset features":
        x, y = x + 1e4, y + 1e4 * g.normal(size=p)
    if case == "bfloat16":
        return torch.tensor(x).bfloat16(), torch.tensor(y).bfloat16()
    return x, y


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("n", "p"), [(40, 60), (13, 9)])
def test_neighbours_are_those_of_plain_sets(name, case, n, p):
    x, y = _pair(case, p, n)
    exact = [v.double().numpy() if isinstance(v, torch.Tensor) else v for v in (x, y)]
    assert measure(name)(x, y) == pytest.approx(float(_by_definition(name, *exact)), abs=1e-12)


@pytest.mark.parametrize("name", ["rank_similarity", "second_order_cosine"])
@pytest.mark.parametrize("n", [4, 7, 11])
def test_of_few_samples_all_others_are_neighbours(name, n):
    x, y = _pair("plain", n=n)
    value = measure(name)(x, y)
    assert value == pytest.approx(float(_by_definition(name, x, y)), abs=1e-12)
    assert value < 1


def test_sets_agree_with_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    x, y = _pair("plain", p=20, n=80)
    found = [NearestNeighbors(n_neighbors=10, metric="cosine").fit(v).kneighbors(return_distance=False) for v in (x, y)]
    common = np.array([len(np.intersect1d(a, b)) for a, b in zip(*found, strict=True)])
    assert 2 < common.mean() < 8
    assert measure("mutual_knn")(x, y) == pytest.approx(np.mean(common / 10), abs=1e-12)
    assert measure("neighbour_jaccard")(x, y) == pytest.approx(np.mean(common / (20 - common)), abs=1e-12)


def test_noise_has_the_overlap_of_chance():
    g = np.random.default_rng(0)
    values = [measure("mutual_knn")(g.normal(size=(100, 30)), g.normal(size=(100, 30))) for _ in range(30)]
    # A sample's common neighbours are hypergeometric, of variance 10 p (1 - p) (89 / 98), p = 10/99: for 3,000 of them, as
    # good as independent, the mean share errs by 0.0017.
    assert np.mean(values) == pytest.approx(10 / 99, abs=0.006)


def test_the_ranks_of_two_orders_are_compared_as_worked_out_by_hand():
    # Angles on a circle. Sample 0 sees 1, 2, 3 in this order on side x, and 3, 2, 1 on side y; k = 3.
    def on_circle(*degrees):
        return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)

    x, y = on_circle(0, 10, 25, 45), on_circle(0, 45, 25, 10)
    # Orders of the others:   0: 1 2 3 | 3 2 1   1: 0 2 3 | 2 3 0   2: 1 3 0 | 3 1 0   3: 2 1 0 | 0 2 1
    h = 1 + 1 / 2 + 1 / 3
    reversed_order = 2 * 2 / (3 * 4) + 2 / 4  # ranks 1|3, 2|2, 3|1
    one = 2 / (3 * 4) + 2 / (2 * 3) + 2 / (2 * 5)  # 0: 1|3, 2: 2|1, 3: 3|2
    two = 2 * 2 / (2 * 3) + 2 / 6  # 1: 1|2, 3: 2|1, 0: 3|3
    three = 2 / (2 * 3) + 2 / (2 * 5) + 2 / (3 * 4)  # 2: 1|2, 1: 2|3, 0: 3|1
    expected = (reversed_order + one + two + three) / h / 4
    assert measure("rank_similarity")(x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("offset", [0, 3])
def test_a_small_drift_of_cosines_agrees_with_extended_precision(offset):
    x, y = _pair("plain", p=20, noise=1e-3)
    x, y = x + offset, y + offset
    cosines = _cosines(x), _cosines(y)
    drifts = []
    for i, (a, b) in enumerate(zip(*(_neighbours(c, 10) for c in cosines), strict=True)):
        units = [c[i, sorted(set(a) | set(b))] for c in cosines]
        u, v = (s / np.sqrt((s * s).sum()) for s in units)
        drifts.append(((u - v) ** 2).sum() / 2)
    exact = float(np.mean(drifts))
    assert 1e-10 < exact < 1e-5
    assert 1 - measure("second_order_cosine")(x, y) == pytest.approx(exact, rel=1e-6)


def _harmonic(k):
    """1 + 1/2 + ... + 1/k, on a straight line between whole k."""
    return np.interp(k, range(12), np.concatenate([[0], np.cumsum(1 / np.arange(1, 12))]))


def test_samples_that_are_all_equally_near_overlap_as_chance_has_it():
    n = 41
    x, (_, y) = np.eye(n), _pair("plain", n=n)
    share = 10 / (n - 1)
    common = 10 * share
    assert measure("mutual_knn")(x, y) == pytest.approx(share, abs=1e-12)
    assert measure("neighbour_jaccard")(x, y) == pytest.approx(common / (20 - common), abs=1e-12)
    tied = 10 / _harmonic(10)  # the harmonic mean of 1, ..., 10
    agreement = sum(share * 2 / ((1 + abs(tied - s)) * (tied + s)) for s in range(1, 11))
    for a, b in ((x, y), (y, x)):
        assert measure("rank_similarity")(a, b) == pytest.approx(agreement / _harmonic(common), abs=1e-12)
    for name in ALL[:3]:
        assert measure(name)(x, x) == pytest.approx(1, abs=1e-12)


def test_ties_are_the_mean_over_ways_of_breaking_them_where_one_side_has_them():
    # On side x, samples 12, 13 and 14 are one point and tie for the last two places of the first sample's neighbours.
    # However they are ordered, side y has one of them among its own.
    degrees = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 120, 140, 10, 10, 10], dtype=float)
    other = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 120, 140, 9.5, 150, 160], dtype=float)
    x, y = (np.stack([np.cos(np.deg2rad(d)), np.sin(np.deg2rad(d))], axis=1) for d in (degrees, other))
    first = {
        tuple(order): len((set(range(1, 9)) | set(order[:2])) & {*range(1, 10), 12})
        for order in permutations([12, 13, 14])
    }
    expected = np.mean(list(first.values())) / 10
    m = measure("mutual_knn")
    overlap = m.prepare(x), m.prepare(y)
    row = {int(j): float(w) for j, w in zip(overlap[0].index[0], overlap[0].weight[0], strict=True) if w > 0}
    assert {j for j, w in row.items() if w == 1} == set(range(1, 9))
    assert {j: row[j] for j in (12, 13, 14)} == pytest.approx(dict.fromkeys((12, 13, 14), 2 / 3))
    theirs = {int(j) for j, w in zip(overlap[1].index[0], overlap[1].weight[0], strict=True) if w > 0}
    assert sum(row.get(j, 0.0) for j in theirs) / 10 == pytest.approx(expected)


@pytest.mark.parametrize("name", ALL)
def test_ties_do_not_depend_on_the_order_of_samples_or_on_rounding(name):
    g = np.random.default_rng(4)
    x = g.integers(-1, 2, size=(60, 4)).astype(float)
    x = x[(x != 0).any(axis=1)]
    y = x + g.integers(0, 2, size=x.shape)
    y[(y == 0).all(axis=1)] = 1
    m = measure(name)
    value = m(x, y)
    assert 0.1 < value < 0.95
    assert m(y, x) == pytest.approx(value, abs=1e-12)
    for _ in range(5):
        order, turn = g.permutation(len(x)), np.linalg.qr(g.normal(size=(4, 4)))[0]
        assert m(x[order], y[order]) == pytest.approx(value, abs=1e-12)
        assert m(3.7 * x @ turn, y) == pytest.approx(value, abs=1e-12)
        assert m(x @ turn, x) == pytest.approx(1, abs=1e-12)
    sides = [m.prepare(v) for v in (x, y, g.normal(size=x.shape))]
    one_by_one = [m.compare(a, b) for a in sides for b in sides]
    assert m.compare_all(sides, sides).ravel() == pytest.approx(one_by_one, abs=1e-12)
    orders = np.array([g.permutation(len(x)) for _ in range(3)])
    assert m.mispaired(sides[0], sides[1], orders) == pytest.approx([m(x, y[order]) for order in orders], abs=1e-12)


def test_what_has_no_neighbours_to_compare_is_refused():
    x, y = _pair("plain")
    hole = np.array(x)
    hole[3] = 0
    for name in ALL:
        with pytest.raises(DegenerateInputError, match="sample 3 is a vector of zeros"):
            measure(name)(hole, y)
    for name in OF_SETS:
        with pytest.raises(DegenerateInputError, match="each of 11 samples has all others .* 12 samples are needed"):
            measure(name)(x[:11], y[:11])
        assert measure(name)(x[:12], y[:12]) < 1
    apart = np.pad(x, [(0, 0), (0, 1)])
    apart[5] = 0
    apart[5, -1] = 2
    with pytest.raises(DegenerateInputError, match="sample 5 is orthogonal to all its neighbours"):
        measure("second_order_cosine")(y, apart)
