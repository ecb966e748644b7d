"""Ranking of layers against scipy's ranks, definitions written out, and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics.ranking import rank_layers


def test_ranks_are_scipys_with_1_for_the_largest_drift():
    estimate = np.random.default_rng(1).integers(0, 4, size=9).astype(float)
    replicates = estimate + np.random.default_rng(2).normal(size=(300, 9))
    assert rank_layers(replicates, estimate).rank == pytest.approx(stats.rankdata(-estimate))


def _written_out(replicates, estimate, confidence):
    """Set and intervals pair by pair: se, critical value as the order statistic that is enough."""
    n, layers = replicates.shape
    place = int(np.ceil(round(confidence * n, 6))) - 1
    pairs = [(i, j) for i in range(layers) for j in range(layers) if i != j]
    spread = {p: np.std(replicates[:, p[1]] - replicates[:, p[0]], ddof=1) for p in pairs}
    seen = {p: (estimate[p[1]] - estimate[p[0]]) / spread[p] for p in pairs}
    error = {p: (replicates[:, p[1]] - replicates[:, p[0]]) / spread[p] - seen[p] for p in pairs}

    def critical(some):
        return np.sort(np.maximum(0, np.max([error[p] for p in some], axis=0)))[place]

    over_all = critical(pairs)
    low = [1 + sum(seen[i, j] > over_all for j in range(layers) if j != i) for i in range(layers)]
    high = [layers - sum(seen[j, i] > over_all for j in range(layers) if j != i) for i in range(layers)]
    own = [[p for p in pairs if p[0] == i] for i in range(layers)]
    return [i for i in range(layers) if max(seen[p] for p in own[i]) <= critical(own[i])], low, high


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_set_and_intervals_are_their_definitions_written_out(confidence, seed):
    g = np.random.default_rng(seed)
    estimate = np.array([0.0, 0.5, 1.0, 1.4, 1.5])
    replicates = estimate + 0.2 * g.normal(size=(400, 5)) * [1, 2, 0.5, 1, 1] + 0.3 * g.normal(size=(400, 1))
    found = rank_layers(replicates, estimate, confidence=confidence)
    largest, low, high = _written_out(replicates, estimate, confidence)
    assert found.largest_set == tuple(largest)
    assert found.rank_low.tolist() == low
    assert found.rank_high.tolist() == high


def test_layers_far_apart_have_one_order_and_equal_ones_any():
    g = np.random.default_rng(4)
    noise = g.normal(size=(400, 4))
    apart = np.array([0.0, 100.0, 300.0, 200.0])
    found = rank_layers(noise + apart, apart)
    assert found.largest_set == (2,)
    assert found.rank_low.tolist() == found.rank_high.tolist() == found.rank.tolist() == [4, 3, 1, 2]
    level = rank_layers(noise - noise.mean(0), np.zeros(4))
    assert level.largest_set == (0, 1, 2, 3)
    assert (level.rank_low.tolist(), level.rank_high.tolist()) == ([1] * 4, [4] * 4)


def test_copies_of_a_layer_tie_and_a_fixed_distance_decides():
    g = np.random.default_rng(5)
    base = 5 + g.normal(size=(400, 1))
    replicates = np.hstack([base, base, base - 1.0, np.full((400, 1), 1.0)])
    estimate = np.array([5.0, 5.0, 4.0, 1.0])
    found = rank_layers(replicates, estimate)
    assert found.largest_set == (0, 1)
    assert (found.rank_low[0], found.rank_low[1], found.rank_low[2]) == (1, 1, 3)


@pytest.mark.parametrize(("share", "held"), [(0.25, True), (0.75, False), (1.25, False)])
def test_critical_value_leaves_at_most_five_percent_of_replicates_beyond_it(share, held):
    errors = np.linspace(-1, 1, 200)
    lead = errors[189] - (1 - share) * (errors[189] - errors[188]) if held else errors[189] + (share - 0.5) * 0.01
    replicates = np.column_stack([np.zeros(200), lead + errors])
    assert (0 in rank_layers(replicates, [0.0, lead]).largest_set) == held


def test_order_of_layers_and_scale_do_not_matter():
    g = np.random.default_rng(6)
    estimate = np.linspace(0, 1, 8)
    replicates = estimate + 0.15 * g.normal(size=(500, 8))
    order = g.permutation(8)
    plain, mixed = rank_layers(replicates, estimate), rank_layers(1e-6 * replicates[:, order], 1e-6 * estimate[order])
    assert sorted(order[list(mixed.largest_set)]) == sorted(plain.largest_set)
    np.testing.assert_array_equal(mixed.rank_low, plain.rank_low[order])
    np.testing.assert_array_equal(mixed.rank_high, plain.rank_high[order])


STUDIES = 400


@pytest.mark.parametrize(("rho", "gap"), [(0.8, 0.0), (0.0, 1.0)])
def test_set_and_intervals_cover_at_about_the_confidence(rho, gap):
    """Samples are drawn, resampled and averaged. Layer 0 drifts most: by a hair (the hardest case), or by `gap` errors."""
    g = np.random.default_rng(7)
    n, layers = 80, 5
    truth = -(1e-9 + gap / np.sqrt(n)) * np.arange(layers)
    mixing = np.linalg.cholesky(rho ** np.abs(np.subtract.outer(np.arange(layers), np.arange(layers))))
    held = ranked = silent = 0
    for _ in range(STUDIES):
        samples = truth + g.normal(size=(n, layers)) @ mixing.T
        weights = g.multinomial(n, np.full(n, 1 / n), size=200) / n
        found = rank_layers(weights @ samples, samples.mean(0))
        held += 0 in found.largest_set
        true_rank = np.arange(1, layers + 1)
        ranked += bool(((found.rank_low <= true_rank) & (true_rank <= found.rank_high)).all())
        silent += bool((found.rank_low == 1).all())
    low, high = stats.binom.ppf([0.0005, 0.9995], STUDIES, 0.95)
    assert min(held, ranked) >= low
    if gap == 0:  # no wider than is said: no pair of equal drifts is told apart at about the confidence
        assert held <= high
        assert low <= silent <= high
