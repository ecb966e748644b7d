"""Claims with a margin against scipy, the bound that inverts them, and simulation."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics import label_permutation_test, reduction_lower_bound
from repdrift.statistics.equivalence import equivalence_test, superiority_test


def _scipys(x, y, alternative):
    return stats.permutation_test(
        (x, y),
        lambda u, v, axis: u.mean(axis) - v.mean(axis),
        alternative=alternative,
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue


def _groups(seed, m=5, k=4):
    g = np.random.default_rng(seed)
    return 1 + 0.1 * g.normal(size=m), 1.05 + 0.1 * g.normal(size=k)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("margin", [0.02, 0.1, 0.2])
def test_equivalence_of_a_difference_is_the_larger_of_scipys_two_tests(seed, margin):
    a, b = _groups(seed)
    found = equivalence_test(a, b, margin=margin, studentise=False)
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert found.pvalue == pytest.approx(max(_scipys(a - margin, b, "less"), _scipys(a + margin, b, "greater")))
    beyond = min(_scipys(a - margin, b, "greater"), _scipys(a + margin, b, "less"))
    assert found.opposite_pvalue == pytest.approx(min(1, 2 * beyond))
    assert (found.exact, found.n_permutations, found.n_units) == (True, 126, 9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("margin", [1.02, 1.1, 1.25])
def test_equivalence_within_a_factor_is_the_larger_of_scipys_two_tests(seed, margin):
    a, b = _groups(seed)
    found = equivalence_test(a, b, margin=margin, scale="ratio", studentise=False)
    assert found.estimate == pytest.approx(a.mean() / b.mean())
    assert found.pvalue == pytest.approx(max(_scipys(a, margin * b, "less"), _scipys(margin * a, b, "greater")))
    beyond = min(_scipys(a, margin * b, "greater"), _scipys(margin * a, b, "less"))
    assert found.opposite_pvalue == pytest.approx(min(1, 2 * beyond))


@pytest.mark.parametrize(("scale", "margin"), [("difference", 0.1), ("ratio", 1.1)])
def test_equivalence_does_not_depend_on_which_group_is_named_first(scale, margin):
    a, b = _groups(5)
    one, other = (equivalence_test(*pair, margin=margin, scale=scale) for pair in ((a, b), (b, a)))
    assert (one.pvalue, one.opposite_pvalue, one.verdict) == (
        pytest.approx(other.pvalue),
        pytest.approx(other.opposite_pvalue),
        other.verdict,
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("margin", [-0.25, 0.0, 0.2])
def test_superiority_is_scipys_test_of_the_scaled_reference(seed, margin):
    comparison, reference = _groups(seed)
    found = superiority_test(reference, comparison, margin=margin, studentise=False)
    assert found.estimate == pytest.approx(1 - comparison.mean() / reference.mean())
    assert found.pvalue == pytest.approx(_scipys(comparison, (1 - margin) * reference, "less"))
    assert found.opposite_pvalue == pytest.approx(_scipys(comparison, (1 - margin) * reference, "greater"))


def test_superiority_is_supported_up_to_the_lower_bound_of_the_reduction():
    g = np.random.default_rng(4)
    strata = [*"xxxyyyy", *"yxyxxyx"]  # reference, then comparison: unequal seeds, another order of tasks
    in_x = np.array(strata) == "x"
    full = np.where(in_x[:7], 0.5, 0.2) * np.exp(0.05 * g.normal(size=7))
    lora = np.where(in_x[7:], 0.3, 0.12) * np.exp(0.05 * g.normal(size=7))
    bound = reduction_lower_bound(full, lora, strata=strata)
    assert superiority_test(full, lora, margin=bound - 1e-6, strata=strata).verdict == "supported"
    assert superiority_test(full, lora, margin=bound + 1e-6, strata=strata).verdict != "supported"
    means = [values[x].mean() + values[~x].mean() for values, x in ((full, in_x[:7]), (lora, in_x[7:]))]
    assert superiority_test(full, lora, margin=0, strata=strata).estimate == pytest.approx(1 - means[1] / means[0])


@pytest.mark.parametrize(("scale", "margin"), [("difference", 0.05), ("ratio", 1.2)])
def test_strata_and_draws_are_those_of_the_label_permutation_test(scale, margin):
    g = np.random.default_rng(6)
    strata = [*"xxxyyyy", *"yyyxxxx"]
    a = np.array([0.5] * 3 + [0.2] * 4) + 0.02 * g.normal(size=7)
    b = np.array([0.2] * 3 + [0.5] * 4) + 0.02 * g.normal(size=7)
    options = {"strata": strata, "n_permutations": 800, "seed": 3}
    found = equivalence_test(a, b, margin=margin, scale=scale, **options)
    sides = [(a - margin, b), (a + margin, b)] if scale == "difference" else [(a, margin * b), (margin * a, b)]
    expected = max(
        label_permutation_test(*sides[0], alternative="less", **options).pvalue,
        label_permutation_test(*sides[1], alternative="greater", **options).pvalue,
    )
    assert (found.pvalue, found.exact, found.n_permutations) == (expected, False, 800)
    assert found.smallest_pvalue == pytest.approx(1 / 801)


def test_smallest_pvalues_are_what_the_best_and_the_worst_data_give():
    near = equivalence_test([1, 2, 3], [1, 2, 3], margin=10)
    assert near.pvalue == near.smallest_pvalue == pytest.approx(1 / 20)
    far = equivalence_test([101, 102, 103], [1, 2, 3], margin=10)
    assert far.opposite_pvalue == far.smallest_opposite_pvalue == pytest.approx(2 / 20)
    less, more = superiority_test([4, 5, 6], [1, 2, 3], margin=0), superiority_test([1, 2, 3], [4, 5, 6], margin=0)
    assert less.pvalue == less.smallest_pvalue == pytest.approx(1 / 20)
    assert more.opposite_pvalue == more.smallest_opposite_pvalue == pytest.approx(1 / 20)


# Calibration: at the margin neither the claim nor its opposite holds. 5 against 5: 12/252 is the largest p up to 0.05.

_TRIALS, _ATTAINABLE = 600, 12 / 252


def _between(count, rate):
    low, high = stats.binom.interval(0.999, _TRIALS, rate)
    return low <= count <= high


@pytest.mark.parametrize("scale", ["difference", "ratio"])
@pytest.mark.parametrize("side", [1, -1])
def test_groups_exactly_at_a_wide_margin_are_called_equivalent_at_the_attainable_rate(scale, side):
    g = np.random.default_rng(10 + side)
    supported = rejected = 0
    for _ in range(_TRIALS):
        x, y = 1 + 0.1 * g.normal(size=(2, 5))
        a, b = (x + side * 1.0, y) if scale == "difference" else (x * 2.0**side, y)
        found = equivalence_test(a, b, margin=1.0 if scale == "difference" else 2.0, scale=scale)
        supported += found.verdict == "supported"
        rejected += found.verdict == "rejected"
    assert _between(supported, _ATTAINABLE)
    assert _between(rejected, 6 / 252), "the opposite has to reach half of alpha: it is tested on two sides"


def test_groups_exactly_at_a_narrow_margin_are_rejected_no_more_often_than_said():
    g, shift = np.random.default_rng(12), np.array([[1e-3], [0.0]])
    found = [equivalence_test(*g.normal(size=(2, 5)) + shift, margin=1e-3).verdict for _ in range(_TRIALS)]
    assert _between(found.count("rejected"), 2 * 6 / 252)
    assert found.count("supported") == 0


def test_a_reduction_exactly_at_the_margin_is_supported_and_rejected_at_the_attainable_rate():
    g = np.random.default_rng(13)
    found = []
    for _ in range(_TRIALS):
        full, lora = np.exp(0.2 * g.normal(size=(2, 5)))
        found.append(superiority_test(full, 0.8 * lora, margin=0.2).verdict)
    assert _between(found.count("supported"), _ATTAINABLE)
    assert _between(found.count("rejected"), _ATTAINABLE)


def test_power_rises_with_the_truth():
    g = np.random.default_rng(14)
    groups = 1 + 0.1 * g.normal(size=(200, 2, 5))
    assert sum(equivalence_test(x, y, margin=0.3).verdict == "supported" for x, y in groups) > 190
    assert sum(equivalence_test(x, y + 1, margin=0.3).verdict == "rejected" for x, y in groups) == 200
    assert sum(superiority_test(x, 0.5 * y, margin=0.2).verdict == "supported" for x, y in groups) > 190
    assert sum(superiority_test(x, 1.1 * y, margin=0.2).verdict == "rejected" for x, y in groups) > 190
