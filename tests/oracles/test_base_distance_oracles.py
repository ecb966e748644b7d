"""Base distances against brute force over relabelled matrices, and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from repdrift.statistics import base_distance_layers, base_distance_test


def _matrices(seed, counts, push=0.0, layers=None):
    """Distances of points; the base's lies `push` from where the others scatter."""
    g = np.random.default_rng(seed)
    out = []
    for m in counts:
        tables = []
        for _ in range(layers or 1):
            points = g.normal(size=(m + 1, 6))
            points[0] += push
            tables.append(squareform(pdist(points)))
        out.append(np.array(tables) if layers else tables[0])
    return out


def _excess(matrix, role):
    others = [i for i in range(len(matrix)) if i != role]
    among = [matrix[i, j] for i in others for j in others if i < j]
    return np.mean([matrix[role, i] for i in others]) - np.mean(among)


@pytest.mark.parametrize("counts", [(3,), (3, 2), (2, 4, 3)])
def test_every_arrangement_agrees_with_brute_force(counts):
    matrices = _matrices(sum(counts), counts, push=0.4)
    found = base_distance_test(matrices)
    null = np.array([
        np.mean([_excess(d, role) for d, role in zip(matrices, roles, strict=True)])
        for roles in product(*[range(m + 1) for m in counts])
    ])  # fmt: skip
    assert found.statistic == pytest.approx(null[0])
    assert found.pvalue == pytest.approx((null >= null[0] - 1e-12).mean())
    assert (found.exact, found.n_permutations, found.n_units) == (True, null.size, sum(counts))
    assert found.smallest_pvalue == pytest.approx(1 / null.size)


def test_a_base_far_from_all_reaches_the_least_p():
    found = base_distance_test(_matrices(0, (3, 3, 3), push=50))
    assert found.pvalue == found.smallest_pvalue == pytest.approx(1 / 64)


def test_layers_are_corrected_by_the_largest_excess_over_arrangements():
    tables = _matrices(1, (3, 4), push=0.3, layers=5)
    found = base_distance_layers(tables, standardise=False)
    roles = list(product(range(4), range(5)))
    null = np.array([[np.mean([_excess(t[layer], r) for t, r in zip(tables, role, strict=True)]) for layer in range(5)] for role in roles])  # fmt: skip
    seen = null[0]
    assert found.difference == pytest.approx(seen)
    assert found.pvalue == pytest.approx((null >= seen - 1e-12).mean(axis=0))
    assert found.single_step == pytest.approx((null.max(axis=1)[:, None] >= seen - 1e-12).mean(axis=0))
    scaled = base_distance_layers(tables)
    assert scaled.standardised == pytest.approx(seen / null.std(axis=0))
    assert scaled.pvalue == pytest.approx(found.pvalue)
    z = null / null.std(axis=0)
    assert scaled.single_step == pytest.approx((z.max(axis=1)[:, None] >= z[0] - 1e-9).mean(axis=0))
    assert (scaled.step_down <= scaled.single_step).all()


def test_random_arrangements_are_close_to_all_of_them():
    tables = _matrices(2, (3, 3, 3, 3, 3), push=0.5)
    exact, drawn = base_distance_test(tables), base_distance_test(tables, n_permutations=1000)
    assert (exact.exact, drawn.exact, drawn.n_permutations) == (True, False, 1000)
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 1000))


def test_a_base_that_is_like_one_more_seed_is_rejected_at_the_nominal_rate():
    trials = 400
    hits = sum(base_distance_test(_matrices(seed, (3, 3))).pvalue <= 1 / 16 for seed in range(trials))
    low, high = stats.binom.interval(0.999, trials, 1 / 16)
    assert low <= hits <= high
