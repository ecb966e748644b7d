"""Sign flips of many layers against the test of one, brute force, and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics import sign_flip_layers, sign_flip_test


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
def test_every_layer_by_itself_is_the_sign_flip_test(alternative, standardise):
    table = 0.3 + np.random.default_rng(0).normal(size=(7, 4))
    strata = [*"xxxyyyy"]
    found = sign_flip_layers(table, strata=strata, alternative=alternative, standardise=standardise)
    alone = [sign_flip_test(column, strata=strata, alternative=alternative) for column in table.T]
    assert found.pvalue == pytest.approx([a.pvalue for a in alone])
    assert found.difference == pytest.approx([a.statistic for a in alone])
    assert (found.smallest_pvalue, found.n_permutations, found.n_units) == (alone[0].smallest_pvalue, 128, 7)


def test_largest_layer_agrees_with_brute_force():
    table = 0.4 + np.random.default_rng(1).normal(size=(6, 3)) * [1, 5, 0.1]
    found = sign_flip_layers(table, alternative="greater")
    flips = np.array(list(product([1, -1], repeat=6)))
    z = flips @ table / np.sqrt((table**2).sum(axis=0))
    assert found.standardised == pytest.approx(z[0])
    assert found.single_step == pytest.approx((z.max(axis=1)[:, None] >= z[0] - 1e-9).mean(axis=0))
    order = np.argsort(-z[0])
    stepped = np.maximum.accumulate([(z[:, order[i:]].max(axis=1) >= z[0][order[i]] - 1e-9).mean() for i in range(3)])
    assert found.step_down[order] == pytest.approx(stepped)


def test_random_flips_are_close_to_all_of_them():
    table = 0.2 + np.random.default_rng(2).normal(size=(11, 3))
    exact, drawn = sign_flip_layers(table), sign_flip_layers(table, n_flips=1500)
    assert (exact.exact, drawn.exact, drawn.n_permutations) == (True, False, 1500)
    assert drawn.single_step == pytest.approx(exact.single_step, abs=4 * np.sqrt(0.25 / 1500))


def test_family_of_correlated_layers_without_drift_is_rejected_at_the_nominal_rate():
    g, trials = np.random.default_rng(3), 500
    tables = np.cumsum(g.normal(size=(trials, 6, 8)), axis=2)
    hits = sum(sign_flip_layers(table, alternative="greater").single_step.min() <= 3 / 64 for table in tables)
    low, high = stats.binom.interval(0.999, trials, 3 / 64)
    assert low <= hits <= high
