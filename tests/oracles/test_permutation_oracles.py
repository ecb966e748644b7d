"""Permutation tests against scipy, brute force and simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics import benjamini_hochberg, holm, label_permutation_test, reduction_lower_bound


@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
@pytest.mark.parametrize("sizes", [(3, 3), (4, 3), (5, 6)])
def test_single_stratum_agrees_with_scipy(alternative, sizes):
    g = np.random.default_rng(sum(sizes))
    a, b = g.normal(size=sizes[0]), g.normal(size=sizes[1]) + 0.5
    found = label_permutation_test(a, b, alternative=alternative)
    tail = alternative
    size = lambda d: d  # noqa: E731
    if (
        alternative == "two-sided"
    ):  # scipy's two-sided doubles the smaller tail; ours counts |difference|, so ask it for that
        tail, size = "greater", np.abs
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: size(x.mean(axis) - y.mean(axis)),
        alternative=tail,
        vectorized=True,
        n_resamples=np.inf,
    )
    assert found.exact
    assert size(found.statistic) == pytest.approx(expected.statistic)
    assert found.pvalue == pytest.approx(expected.pvalue)


def _brute_force(a, b, strata, labels_a):
    values = np.concatenate([a, b])
    groups = [np.flatnonzero(np.array(strata) == s) for s in dict.fromkeys(strata)]
    is_a = np.arange(len(values)) < labels_a

    def statistic(mask):
        return np.mean([values[g][mask[g]].mean() - values[g][~mask[g]].mean() for g in groups])

    observed, hits, total = statistic(is_a), 0, 0
    for chosen in product(*[combinations(g, int(is_a[g].sum())) for g in groups]):
        mask = np.zeros(len(values), dtype=bool)
        mask[[i for part in chosen for i in part]] = True
        hits += statistic(mask) <= observed + 1e-12
        total += 1
    return observed, hits / total, total


def test_strata_agree_with_brute_force():
    g = np.random.default_rng(1)
    a, b = g.normal(size=6), g.normal(size=7) + 0.4
    strata = [*"xxxyyy", *"xxxyyyy"]
    found = label_permutation_test(a, b, strata=strata)
    observed, pvalue, total = _brute_force(a, b, strata, 6)
    assert (found.statistic, found.pvalue, found.n_permutations) == (
        pytest.approx(observed),
        pytest.approx(pvalue),
        total,
    )


def test_smallest_pvalue_is_reached_by_complete_separation():
    found = label_permutation_test([1, 2, 3], [4, 5, 6])
    assert found.pvalue == found.smallest_pvalue == pytest.approx(1 / 20)
    pooled = label_permutation_test([1, 2, 3] * 4, [4, 5, 6] * 4, strata=[*"aaabbbcccddd"] * 2)
    assert pooled.pvalue == pooled.smallest_pvalue == pytest.approx(20.0**-4)
    assert pooled.exact


def test_monte_carlo_is_close_to_exact_and_never_zero():
    g = np.random.default_rng(2)
    a, b = g.normal(size=8), g.normal(size=8) + 0.8
    exact = label_permutation_test(a, b)
    drawn = label_permutation_test(a, b, n_permutations=5000)
    assert not drawn.exact
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 5000))
    far = label_permutation_test(a - 50, b, n_permutations=1000)
    assert far.pvalue >= 1 / 1001


def test_ties_count_as_hits():
    assert label_permutation_test([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]).pvalue == 1.0


def test_null_is_rejected_no_more_often_than_said():
    g = np.random.default_rng(3)
    trials = 2000
    null = sum(label_permutation_test(g.normal(size=5), g.normal(size=5)).pvalue <= 0.05 for _ in range(trials))
    assert null / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)
    boundary = 0
    for _ in range(trials):
        full, lora = 0.5 * np.exp(0.1 * g.normal(size=5)), 0.4 * np.exp(0.1 * g.normal(size=5))
        boundary += label_permutation_test(lora, 0.8 * full).pvalue <= 0.05
    assert boundary / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_lower_bound_of_the_reduction_is_where_the_test_turns():
    g = np.random.default_rng(4)
    full, lora = 0.5 + 0.02 * g.normal(size=8), 0.3 + 0.02 * g.normal(size=8)
    bound = reduction_lower_bound(full, lora)
    assert 0.3 < bound < 1 - lora.mean() / full.mean()
    assert label_permutation_test(lora, (1 - bound + 1e-6) * full).pvalue <= 0.05
    assert label_permutation_test(lora, (1 - bound - 1e-3) * full).pvalue > 0.05


def test_lower_bound_covers_the_true_reduction():
    g = np.random.default_rng(5)
    trials, missed = 200, 0
    for _ in range(trials):
        full, lora = np.exp(0.15 * g.normal(size=6)), 0.7 * np.exp(0.15 * g.normal(size=6))
        missed += reduction_lower_bound(full, lora) > 0.3
    assert missed / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_design_that_cannot_reach_alpha_has_no_bound():
    assert reduction_lower_bound([1.0, 1.1], [0.1, 0.2]) is None


def test_missing_values_and_empty_groups_are_refused():
    with pytest.raises(NonFiniteError, match=r"a\[1\] is nan"):
        label_permutation_test([1, np.nan], [1, 2])
    with pytest.raises(ShapeError, match="stratum 'y' has 0 values of a"):
        label_permutation_test([1, 2], [1, 2], strata=["x", "x", "x", "y"])
    with pytest.raises(ShapeError, match="expected 4, got 3"):
        label_permutation_test([1, 2], [1, 2], strata=["x"] * 3)


def test_corrections_agree_with_scipy_and_by_hand():
    p = np.random.default_rng(6).uniform(size=20) ** 2
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    with pytest.raises(ShapeError, match="NaN"):
        holm([0.1, float("nan")])
