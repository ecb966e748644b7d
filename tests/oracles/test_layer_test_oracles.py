"""Max-T and cluster tests over layers against brute force, Student's t and simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import ndimage, stats

from repdrift.statistics import label_permutation_test
from repdrift.statistics.layer_tests import CLUSTER_THRESHOLDS, cluster_test, max_t_test

ALTERNATIVES = ["less", "greater", "two-sided"]
TURN = {"less": lambda v: -v, "greater": lambda v: v, "two-sided": np.abs}


def _differences(a, b, strata):
    """(arrangements, L) mean over strata of the difference of means, written out; the observed one first."""
    values, labels = np.concatenate([a, b]), np.array(strata)
    groups = [np.flatnonzero(labels == s) for s in dict.fromkeys(strata)]
    is_a = np.arange(len(values)) < len(a)

    def of(mask):
        return np.mean([values[g][mask[g]].mean(0) - values[g][~mask[g]].mean(0) for g in groups], axis=0)

    found = [of(is_a)]
    for chosen in product(*[combinations(g, int(is_a[g].sum())) for g in groups]):
        mask = np.zeros(len(values), dtype=bool)
        mask[[i for part in chosen for i in part]] = True
        found.append(of(mask))
    return np.array(found[0]), np.array(found[1:])


def _adjusted(seen, null):
    """Single-step and step-down p by their definitions: maxima over all layers, and over those not yet passed."""
    single = [(null.max(axis=1) >= t - 1e-9).mean() for t in seen]
    stepped, left, floor = np.empty(len(seen)), list(range(len(seen))), 0.0
    while left:
        top = max(left, key=lambda i: seen[i])
        floor = max(floor, (null[:, left].max(axis=1) >= seen[top] - 1e-9).mean())
        stepped[top] = floor
        left.remove(top)
    return single, stepped


def _tables(seed, m, k, layers=6, rho=0.7):
    g = np.random.default_rng(seed)
    shift = np.where(np.arange(layers) % 3 == 0, 1.0, 0.0)
    return _ar1(g, m, layers, rho) - shift, _ar1(g, k, layers, rho)


def _ar1(g, rows, layers, rho):
    steps = g.normal(size=(rows, layers))
    for j in range(1, layers):
        steps[:, j] = rho * steps[:, j - 1] + np.sqrt(1 - rho**2) * steps[:, j]
    return steps


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n_permutations", [200_000, 500])
@pytest.mark.parametrize("standardise", [True, False])
def test_one_layer_is_the_label_permutation_test(alternative, n_permutations, standardise):
    a, b = _tables(1, 7, 6, layers=1)
    strata = [*"xyxyxyy", *"yxxyyx"]
    options = {"strata": strata, "alternative": alternative, "n_permutations": n_permutations, "seed": 3}
    found = max_t_test(a, b, standardise=standardise, **options)
    expected = label_permutation_test(a[:, 0], b[:, 0], studentise=False, **options)
    assert found.exact == expected.exact == (n_permutations > 500)
    assert found.pvalue == found.single_step == found.step_down == [pytest.approx(expected.pvalue, rel=1e-12)]
    assert found.difference == pytest.approx([expected.statistic])
    assert (found.smallest_pvalue, found.n_permutations, found.n_units) == (
        expected.smallest_pvalue,
        expected.n_permutations,
        expected.n_units,
    )


@pytest.mark.parametrize("n_permutations", [200_000, 500])
def test_every_layer_by_itself_is_the_label_permutation_test(n_permutations):
    a, b = _tables(2, 6, 6)
    a[:, 2], b[:, 2] = 1e6 + 1e-3 * a[:, 2], 1e6 + 1e-3 * b[:, 2]
    strata = [*"xxxyyy"] * 2
    found = max_t_test(a, b, strata=strata, n_permutations=n_permutations, seed=5)
    alone = [
        label_permutation_test(x, y, strata=strata, n_permutations=n_permutations, seed=5).pvalue
        for x, y in zip(a.T, b.T, strict=True)
    ]
    assert found.pvalue == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("sizes", [(3, 3), (4, 3)])
def test_in_one_stratum_max_t_is_that_of_students_t(alternative, sizes):
    """Which justifies the spread: dividing by each arrangement's own, by scipy, gives the same adjusted p-values."""
    m, k = sizes
    a, b = _tables(sum(sizes), m, k)
    a[:, 1] *= 50
    b[:, 1] *= 50
    values = np.concatenate([a, b])
    null = []
    for chosen in combinations(range(m + k), m):
        mask = np.isin(np.arange(m + k), chosen)
        null.append(stats.ttest_ind(values[mask], values[~mask]).statistic)
    turn = TURN[alternative]
    single, stepped = _adjusted(turn(stats.ttest_ind(a, b).statistic), turn(np.array(null)))
    found = max_t_test(a, b, alternative=alternative)
    assert found.single_step == pytest.approx(single)
    assert found.step_down == pytest.approx(stepped)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("standardise", [True, False])
def test_strata_agree_with_brute_force_also_when_they_are_interleaved(alternative, standardise):
    a, b = _tables(4, 5, 6)
    a[:, 1] *= 50
    b[:, 1] *= 50
    strata = [*"xyxyx", *"yxxyyx"]
    observed, null = _differences(a, b, strata)
    spread = null.std(axis=0) if standardise else 1.0  # over all arrangements: known in the code without visiting them
    turn = TURN[alternative]
    single, stepped = _adjusted(turn(observed / spread), turn(null / spread))
    found = max_t_test(a, b, strata=strata, alternative=alternative, standardise=standardise)
    assert found.exact
    assert found.n_permutations == len(null)
    assert found.difference == pytest.approx(observed)
    assert found.single_step == pytest.approx(single)
    assert found.step_down == pytest.approx(stepped)
    if standardise:
        assert found.standardised == pytest.approx(observed / spread)
    else:
        assert found.standardised is None


def test_scale_of_a_layer_matters_only_without_standardising():
    a, b = _tables(6, 4, 4)
    far = np.array([1, 1, 1000, 1, 1, 1e-6])
    plain, scaled = max_t_test(a, b), max_t_test(a * far, b * far)
    assert scaled.step_down == pytest.approx(plain.step_down)
    raw, raw_scaled = (max_t_test(x, y, standardise=False) for x, y in ((a, b), (a * far, b * far)))
    assert np.abs(raw.single_step - raw_scaled.single_step).max() > 0.1


def test_layers_that_are_copies_need_no_correction():
    a, b = _tables(7, 4, 4, layers=1)
    found = max_t_test(np.tile(a, 5) * [1, 2, 3, 4, 5], np.tile(b, 5) * [1, 2, 3, 4, 5])
    assert found.single_step == pytest.approx(found.pvalue)
    assert found.step_down == pytest.approx(found.pvalue)


@pytest.mark.parametrize("seed", range(10))
def test_order_of_the_three_pvalues(seed):
    a, b = _tables(seed, 5, 4, layers=9)
    found = max_t_test(a, b)
    assert (found.pvalue <= found.step_down).all()
    assert (found.step_down <= found.single_step).all()
    assert found.smallest_pvalue <= found.pvalue.min()


def test_layer_that_does_not_vary_has_pvalue_one_and_leaves_the_others_alone():
    a, b = _tables(8, 4, 4)
    still_a, still_b = np.full((4, 2), [0.1, 0.0]), np.full((4, 2), [0.1, 0.0])
    still_a[0, 0] += 1e-16  # the last digit is no variation
    found = max_t_test(np.hstack([still_a, a]), np.hstack([still_b, b]), alternative="two-sided")
    without = max_t_test(a, b, alternative="two-sided")
    assert found.step_down[:2] == pytest.approx([1, 1])
    assert found.step_down[2:] == pytest.approx(without.step_down)
    assert (found.standardised[:2] == 0).all()


def test_one_clear_layer_of_24_is_found_with_few_models_where_holm_has_no_chance():
    g = np.random.default_rng(9)
    a, b = g.normal(size=(4, 24)), g.normal(size=(4, 24))
    a[:, 7] = b[:, 7] - 100
    found = max_t_test(a, b)
    assert found.step_down[7] == found.smallest_pvalue == pytest.approx(1 / 70)
    assert 24 / 70 > 0.05, "Holm's first step"


def test_monte_carlo_is_close_to_exact_and_never_zero():
    a, b = _tables(10, 6, 6)
    exact, drawn = max_t_test(a, b), max_t_test(a, b, n_permutations=900, seed=1)
    assert exact.exact
    assert not drawn.exact
    assert drawn.single_step == pytest.approx(exact.single_step, abs=4 * np.sqrt(0.25 / 900))
    far = max_t_test(a - 50, b, n_permutations=900)
    assert (far.step_down >= 1 / 901).all()


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("seed", range(2))
def test_clusters_agree_with_labelled_brute_force(alternative, threshold, seed):
    a, b = _tables(seed, 5, 4, layers=12)
    strata = [*"xyxyx", *"yxxy"]
    observed, null = _differences(a, b, strata)
    z, null = observed / null.std(axis=0), null / null.std(axis=0)
    limit = CLUSTER_THRESHOLDS[alternative] if threshold is None else threshold
    signs = {"less": [-1], "greater": [1], "two-sided": [1, -1]}[alternative]

    def clusters(row):
        found = []
        for sign in signs:
            marked, count = ndimage.label(sign * row >= limit)
            places = [place[0] for place in ndimage.find_objects(marked, count)]
            found += [(place.start, place.stop, row[place].sum()) for place in places]
        return sorted(found)

    largest = np.array([max([abs(mass) for _, _, mass in clusters(row)], default=0) for row in null])
    found = cluster_test(a, b, strata=strata, alternative=alternative, threshold=threshold)
    assert found.threshold == limit
    expected = clusters(z)
    assert [(c.start, c.stop) for c in found.clusters] == [(start, stop) for start, stop, _ in expected]
    assert [c.mass for c in found.clusters] == pytest.approx([mass for *_, mass in expected])
    assert [c.pvalue for c in found.clusters] == pytest.approx(
        [(largest >= abs(mass) - 1e-9).mean() for *_, mass in expected]
    )


def test_clusters_of_both_signs_are_kept_apart():
    g = np.random.default_rng(11)
    a, b = 0.1 * g.normal(size=(4, 8)), 0.1 * g.normal(size=(4, 8))
    a[:, 1:3] -= 5
    a[:, 3:6] += 5
    found = cluster_test(a, b, alternative="two-sided")
    assert [(c.start, c.stop, c.mass < 0) for c in found.clusters] == [(1, 3, True), (3, 6, False)]
    assert found.clusters[1].pvalue == found.smallest_pvalue == pytest.approx(2 / 70)


def test_no_layer_at_the_threshold_is_no_cluster():
    a, b = _tables(12, 4, 4)
    found = cluster_test(a, b, threshold=2.645)  # sqrt(7) = 2.6458 is what the design can reach
    assert found.clusters == ()
    assert found.smallest_pvalue == pytest.approx(1 / 70)


STUDIES = 400


def _band(rate):
    return stats.binom.ppf([0.0005, 0.9995], STUDIES, rate)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_family_wise_error_is_what_is_said_under_ar1_layers(rho):
    g = np.random.default_rng(20)
    strata, false = [*"xxxyyy"] * 2, np.zeros(3, dtype=int)
    for _ in range(STUDIES):
        a, b = _ar1(g, 6, 12, rho), _ar1(g, 6, 12, rho)
        a[3:] *= 5  # one task spreads five times as much, under both methods
        b[3:] *= 5
        found = max_t_test(a, b, strata=strata)
        # The threshold is low so that hardly an arrangement is without a cluster: only then is the error attained.
        clusters = cluster_test(a, b, strata=strata, threshold=1.0).clusters
        false += [
            found.single_step.min() <= 0.05,
            found.step_down.min() <= 0.05,
            min([c.pvalue for c in clusters], default=1) <= 0.05,
        ]
    low, high = _band(20 / 400)
    assert (low <= false).all(), false
    assert (false <= high).all(), false


def test_family_wise_error_holds_among_the_layers_without_an_effect():
    g = np.random.default_rng(21)
    false, found_true = 0, 0
    for _ in range(STUDIES):
        a, b = _ar1(g, 5, 12, 0.6), _ar1(g, 5, 12, 0.6)
        a[:, :4] -= 4
        stepped = max_t_test(a, b).step_down
        false += stepped[4:].min() <= 0.05
        found_true += stepped[:4].min() <= 0.05
    assert false <= _band(0.05)[1]
    assert found_true > 0.95 * STUDIES
