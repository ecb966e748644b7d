"""Permutation tests against scipy, brute force and simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics import benjamini_hochberg, holm, label_permutation_test, reduction_lower_bound


@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
@pytest.mark.parametrize("sizes", [(3, 3), (4, 3), (5, 6)])
def test_single_stratum_agrees_with_scipy(alternative, sizes):
    g = np.random.default_rng(sum(sizes))
    a, b = g.normal(size=sizes[0]), g.normal(size=sizes[1]) + 0.5
    found = label_permutation_test(a, b, alternative=alternative, studentise=False)
    tail, size = alternative, np.asarray
    if alternative == "two-sided":
        # scipy's two-sided doubles the smaller tail; ours counts |difference|, so it is asked for that.
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


def _brute_force(a, b, strata, labels_a, alternative="less"):
    values = np.concatenate([a, b])
    groups = [np.flatnonzero(np.array(strata) == s) for s in dict.fromkeys(strata)]
    is_a = np.arange(len(values)) < labels_a

    def statistic(mask):
        return np.mean([values[g][mask[g]].mean() - values[g][~mask[g]].mean() for g in groups])

    observed, hits, total = statistic(is_a), 0, 0
    for chosen in product(*[combinations(g, int(is_a[g].sum())) for g in groups]):
        mask = np.zeros(len(values), dtype=bool)
        mask[[i for part in chosen for i in part]] = True
        found = statistic(mask)
        hits += {
            "less": found <= observed + 1e-12,
            "greater": found >= observed - 1e-12,
            "two-sided": abs(found) >= abs(observed) - 1e-12,
        }[alternative]
        total += 1
    return observed, hits / total, total


@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
def test_strata_agree_with_brute_force_also_when_they_are_interleaved(alternative):
    g = np.random.default_rng(1)
    a, b = g.normal(size=6), g.normal(size=7) + 0.4
    strata = [*"xyxyxy", *"yxxyyyx"]
    found = label_permutation_test(a, b, strata=strata, alternative=alternative, studentise=False)
    observed, pvalue, total = _brute_force(a, b, strata, 6, alternative)
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


@pytest.mark.parametrize(("sizes", "expected"), [((3, 3), 2 / 20), ((4, 3), 1 / 35), ((1, 1), 1.0)])
def test_smallest_two_sided_pvalue_is_what_the_best_data_give(sizes, expected):
    # One value far out in the smaller group: no labelling but the observed one (and its mirror) comes near.
    a, b = np.arange(sizes[0], dtype=float), 100 + np.arange(sizes[1], dtype=float)
    found = label_permutation_test(a, b, alternative="two-sided")
    assert found.smallest_pvalue == pytest.approx(expected)
    assert found.pvalue == pytest.approx(found.smallest_pvalue)


def test_monte_carlo_is_close_to_exact_and_never_zero():
    g = np.random.default_rng(2)
    a, b = g.normal(size=8), g.normal(size=8) + 0.8
    exact = label_permutation_test(a, b)
    drawn = label_permutation_test(a, b, n_permutations=5000)
    assert not drawn.exact
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 5000))
    far = label_permutation_test(a - 50, b, n_permutations=1000)
    assert far.pvalue >= 1 / 1001


def test_ties_count_as_hits_whatever_the_scale_of_the_values():
    assert label_permutation_test([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]).pvalue == 1.0
    # {0.1, 0.4} and {0.2, 0.3} tie exactly, and only there: 4 of 6 labellings are at most the observed difference of 0.
    for scale in (1e-9, 1.0, 1e9):
        values = scale * np.array([0.1, 0.4, 0.2, 0.3])
        assert label_permutation_test(values[:2], values[2:]).pvalue == pytest.approx(4 / 6)


def _most(trials, alpha=0.05):
    """The nominal rate and three standard errors of the simulation itself."""
    return alpha + 3 * np.sqrt(alpha * (1 - alpha) / trials)


def test_null_is_rejected_at_about_the_nominal_rate():
    g = np.random.default_rng(3)
    trials = 2000
    null = sum(label_permutation_test(g.normal(size=5), g.normal(size=5)).pvalue <= 0.05 for _ in range(trials))
    attainable = 12 / 252  # the largest p of this design that is not above 0.05
    assert abs(null / trials - attainable) <= 3 * np.sqrt(attainable * (1 - attainable) / trials)


def test_stratified_null_with_different_tasks_is_rejected_no_more_often_than_said():
    g = np.random.default_rng(7)
    trials, strata = 2000, [*"xxxyyy"] * 2
    level = np.array([0.1] * 3 + [0.7] * 3)  # one task drifts seven times as much, under both methods
    null = sum(
        label_permutation_test(level * np.exp(0.2 * g.normal(size=6)), level * np.exp(0.2 * g.normal(size=6)), strata=strata).pvalue <= 0.05
        for _ in range(trials)
    )  # fmt: skip
    assert 0.02 <= null / trials <= _most(trials)


@pytest.mark.parametrize("spread", ["in proportion", "equal"])
def test_reduction_of_exactly_the_target_is_rejected_no_more_often_than_said(spread):
    g = np.random.default_rng(8)
    trials, hits = 2000, 0
    for _ in range(trials):
        full = 0.5 + 0.05 * g.normal(size=5)
        lora = 0.4 + (0.04 if spread == "in proportion" else 0.05) * g.normal(size=5)
        hits += label_permutation_test(lora, 0.8 * full).pvalue <= 0.05
    assert 0.02 <= hits / trials <= _most(trials)


def test_lower_bound_of_the_reduction_is_where_the_test_turns():
    g = np.random.default_rng(4)
    full, lora = 0.5 + 0.02 * g.normal(size=8), 0.3 + 0.02 * g.normal(size=8)
    bound = reduction_lower_bound(full, lora)
    assert 0.3 < bound < 1 - lora.mean() / full.mean()
    assert label_permutation_test(lora, (1 - bound + 1e-6) * full).pvalue <= 0.05
    assert label_permutation_test(lora, (1 - bound - 1e-3) * full).pvalue > 0.05


@pytest.mark.parametrize("n_permutations", [1_000_000, 300])
def test_lower_bound_is_that_of_testing_margin_by_margin(n_permutations):
    g = np.random.default_rng(9)
    strata = [*"xxxyyyy", *"yyyxxxx"]  # reference, then comparison; unequal seeds, another order of tasks
    full = np.array([0.5] * 3 + [0.2] * 4) * np.exp(0.05 * g.normal(size=7))
    lora = np.array([0.12] * 3 + [0.3] * 4) * np.exp(0.05 * g.normal(size=7))
    bound = reduction_lower_bound(full, lora, strata=strata, n_permutations=n_permutations, seed=2)
    margins = np.linspace(-1, 1, 401)
    swapped = [*strata[7:], *strata[:7]]
    rejected = [
        label_permutation_test(lora, (1 - r) * full, strata=swapped, n_permutations=n_permutations, seed=2).pvalue <= 0.05
        for r in margins
    ]  # fmt: skip
    last = int(np.flatnonzero(rejected)[-1])
    assert all(rejected[: last + 1]), "p rises with the margin"
    assert margins[last] <= bound <= margins[last + 1]


def test_lower_bound_covers_the_true_reduction():
    g = np.random.default_rng(5)
    trials, missed = 1000, 0
    for _ in range(trials):
        full, lora = np.exp(0.15 * g.normal(size=6)), 0.7 * np.exp(0.15 * g.normal(size=6))
        missed += reduction_lower_bound(full, lora) > 0.3
    assert 0.02 <= missed / trials <= _most(trials)


def test_design_that_cannot_reach_alpha_has_no_bound():
    assert reduction_lower_bound([1.0, 1.1], [0.1, 0.2]) is None
    assert reduction_lower_bound([1.0, 1.1], [0.1, 0.2], alpha=0.2) == pytest.approx(0.8), "1/6 is within 0.2"


def test_missing_values_and_empty_groups_are_refused():
    with pytest.raises(NonFiniteError, match=r"a\[1\] is nan"):
        label_permutation_test([1, np.nan], [1, 2])
    with pytest.raises(ShapeError, match="stratum 'y' has 0 values of a"):
        label_permutation_test([1, 2], [1, 2], strata=["x", "x", "x", "y"])
    with pytest.raises(ShapeError, match="expected 4, got 3"):
        label_permutation_test([1, 2], [1, 2], strata=["x"] * 3)
    with pytest.raises(ShapeError, match="b should be a list of at least one"):
        label_permutation_test([1, 2], [])


def test_options_without_a_meaning_are_refused():
    with pytest.raises(ConfigError, match="n_permutations should be at least 1, got 0"):
        label_permutation_test([1, 2], [3, 4], n_permutations=0)
    with pytest.raises(ConfigError, match="alpha should lie between 0 and 1, got 1.5"):
        reduction_lower_bound([1, 2], [3, 4], alpha=1.5)
    with pytest.raises(UnknownNameError, match="Did you mean 'less'"):
        label_permutation_test([1, 2], [3, 4], alternative="lesser")


def test_corrections_agree_with_examples_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    with pytest.raises(ShapeError, match="NaN"):
        holm([0.1, float("nan")])
