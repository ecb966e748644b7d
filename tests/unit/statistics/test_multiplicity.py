from itertools import combinations

import numpy as np
import pytest

from repdrift.core.errors import ShapeError
from repdrift.statistics import benjamini_hochberg, holm


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
