"""Dunnett's test against scipy's, with strata against the t test, and what it refuses."""

import numpy as np
import pytest
from scipy import stats

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.statistics import dunnett_test


@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
def test_single_step_p_are_those_of_scipy_in_one_stratum(alternative):
    g = np.random.default_rng(3)
    reference, methods = g.normal(0, 1, 5), [g.normal(-0.8, 1, 4), g.normal(0.1, 1, 6), g.normal(-1.5, 1, 5)]
    found = dunnett_test(methods, reference, alternative=alternative, draws=60_000)
    theirs = stats.dunnett(*methods, control=reference, alternative=alternative, rng=np.random.default_rng(0))
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.single_step == pytest.approx(theirs.pvalue, abs=0.008)
    assert (found.step_down <= found.single_step + 1e-12).all()
    strongest = int(np.argmin(found.single_step))
    assert found.step_down[strongest] == found.single_step[strongest]


def test_one_method_in_strata_is_the_t_test_of_stratified_means():
    g = np.random.default_rng(4)
    levels = np.array([[0.0], [5.0]])
    a, b = levels + g.normal(size=(2, 3)), levels + g.normal(0.5, 1, size=(2, 3))
    strata = [[0, 0, 0, 1, 1, 1]] * 2
    found = dunnett_test([a.ravel()], b.ravel(), strata=strata, draws=60_000)
    squares = sum(np.square(x - x.mean(axis=1, keepdims=True)).sum() for x in (a, b))
    t = (a.mean() - b.mean()) / (np.sqrt(squares / 8) * np.sqrt(4 / 3) / 2)
    assert found.statistic[0] == pytest.approx(t)
    assert found.single_step[0] == pytest.approx(stats.t.cdf(t, 8), abs=0.006)
    assert found.freedom == 8


def test_what_has_no_spread_or_other_strata_is_refused():
    with pytest.raises(DegenerateInputError, match="do not vary"):
        dunnett_test([[1.0]], [2.0])
    with pytest.raises(ShapeError, match="in the strata of the reference"):
        dunnett_test([[1.0, 2.0]], [2.0, 3.0], strata=[["a", "b"], ["a", "a"]])
    with pytest.raises(ShapeError, match="at least one method"):
        dunnett_test([], [2.0, 3.0])
