from itertools import combinations

import numpy as np
import pytest

from repdrift.core.errors import ShapeError
from repdrift.statistics import benjamini_hochberg, holm, holm_over_families


def _pvalues(seed, m):
    return np.random.default_rng(seed).uniform(size=m) ** 3


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_closed_test_of_bonferroni(seed):
    p = _pvalues(seed, 6)
    closed = [
        max(
            min(1.0, size * min(p[list(subset)]))
            for size in range(1, 7)
            for subset in combinations(range(6), size)
            if i in subset
        )
        for i in range(6)
    ]
    assert holm(p) == pytest.approx(closed)


@pytest.mark.parametrize("seed", range(5))
def test_benjamini_hochberg_rejects_what_the_step_up_rule_rejects(seed):
    p = _pvalues(seed, 12)
    for level in (0.01, 0.05, 0.2):
        passing = [k for k in range(1, 13) if np.sort(p)[k - 1] <= k * level / 12]
        rejected = p <= np.sort(p)[max(passing) - 1] if passing else np.zeros(12, dtype=bool)
        np.testing.assert_array_equal(benjamini_hochberg(p) <= level, rejected)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_corrected_values_follow_their_hypotheses_and_never_shrink(correct):
    p = _pvalues(9, 15)
    order = np.random.default_rng(0).permutation(15)
    assert correct(p[order]) == pytest.approx(correct(p)[order])
    assert ((correct(p) >= p) & (correct(p) <= 1)).all()
    assert correct([0.03]) == pytest.approx([0.03])


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@pytest.mark.parametrize("bad", [[0.1, float("nan")], [1.2], [-0.1], [], [[0.1, 0.2]]])
def test_what_is_no_list_of_pvalues_is_refused(correct, bad):
    with pytest.raises(ShapeError):
        correct(bad)


def _rejected_at(families, alpha):
    """The procedure itself at one level: shares pass on from families that are wholly rejected, until nothing changes."""
    done = set()
    while True:
        share = alpha / max(1, len(families) - len(done))
        rejected = [
            set(range(len(f))) if k in done else {i for i, p in enumerate(f) if p <= share}
            for k, f in enumerate(families)
        ]
        whole = {k for k, f in enumerate(families) if len(rejected[k]) == len(f)}
        if whole == done:
            return rejected
        done = whole


@pytest.mark.parametrize("seed", range(6))
def test_adjusted_values_over_families_are_those_at_which_the_procedure_rejects(seed):
    families = [holm(_pvalues(10 * seed + k, size)) * 0.4 for k, size in enumerate((1, 3, 4, 2))]
    adjusted = holm_over_families(families)
    for alpha in np.linspace(0.001, 0.999, 300):
        expected = _rejected_at(families, alpha)
        for k, family in enumerate(adjusted):
            near = np.isclose(family, alpha, atol=1e-9)
            assert {i for i, p in enumerate(family) if p <= alpha and not near[i]} <= expected[k]
            assert expected[k] <= {i for i, p in enumerate(family) if p <= alpha or near[i]}


def test_families_of_one_test_are_holms_and_one_family_stays_as_it_is():
    p = _pvalues(3, 5)
    assert np.concatenate(holm_over_families([[value] for value in p])) == pytest.approx(holm(p))
    assert holm_over_families([p])[0] == pytest.approx(p)


def test_a_family_rejected_in_part_keeps_its_share():
    partly, other = holm_over_families([[0.001, 0.9], [0.03]])
    assert other[0] == pytest.approx(0.06), "a true null may be left in the first family"
    assert partly == pytest.approx([0.002, 0.9])
    wholly, other = holm_over_families([[0.001, 0.02], [0.03]])
    assert (wholly[1], other[0]) == pytest.approx((0.04, 0.04)), (
        "passed on at the level at which the first is wholly rejected"
    )


def test_families_are_checked():
    with pytest.raises(ShapeError, match="at least one family"):
        holm_over_families([])
    with pytest.raises(ShapeError):
        holm_over_families([[0.1], []])
