"""Sign flips of whole vectors against brute force, and how often they reject where nothing moved."""

from itertools import product

import numpy as np
import pytest

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics.flipped_means import flipped_means_test


def test_exact_p_agrees_with_every_arrangement_of_signs():
    d = np.random.default_rng(1).normal(size=(7, 20)) + 0.3
    found = flipped_means_test([d @ d.T])
    norms = [np.linalg.norm((np.array(signs)[:, None] * d).sum(axis=0)) for signs in product([1, -1], repeat=7)]
    assert found.exact
    assert found.n_flips == 2**6
    assert found.pvalue[0] == pytest.approx(np.mean(np.array(norms) >= norms[0] - 1e-9))
    assert found.smallest_pvalue == pytest.approx(2 / 2**7)


def test_null_is_rejected_at_the_nominal_rate_with_more_features_than_samples():
    rejected = []
    for seed in range(300):
        layers = np.random.default_rng(seed).normal(size=(3, 15, 40)) * np.linspace(5, 0.1, 40)
        found = flipped_means_test([d @ d.T for d in layers], n_flips=199, seed=seed)
        rejected.append([found.pvalue[0] <= 0.05, found.adjusted.min() <= 0.05])
    alone, family = np.mean(rejected, axis=0)
    assert 0.02 < alone < 0.085
    assert 0.02 < family < 0.085


def test_shifted_layer_is_found_and_the_others_are_not():
    generator = np.random.default_rng(4)
    layers = generator.normal(size=(4, 30, 60))
    layers[2] += 0.5
    found = flipped_means_test([d @ d.T for d in layers])
    assert found.adjusted[2] <= 0.001
    assert (np.delete(found.adjusted, 2) > 0.05).all()
    assert (found.adjusted >= found.pvalue).all()


def test_layer_that_did_not_move_has_p_1_and_counts_no_layer_out():
    d = np.random.default_rng(5).normal(size=(12, 5)) + 1
    found = flipped_means_test([np.zeros((12, 12)), d @ d.T])
    assert found.pvalue[0] == 1
    assert found.adjusted[0] == 1
    assert found.adjusted[1] < 0.01


def test_faults_are_refused():
    with pytest.raises(ShapeError, match="at least one layer"):
        flipped_means_test([])
    with pytest.raises(ShapeError, match=r"shape \(3, 3\)"):
        flipped_means_test([np.eye(3), np.eye(4)])
    with pytest.raises(NonFiniteError, match="number 0"):
        flipped_means_test([np.full((3, 3), np.nan)])
