import numpy as np
import pytest

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics import hierarchical_reduction, hierarchical_replicates


def _models(seed=0, m=3, spread=0.05):
    g = np.random.default_rng(seed)
    estimate = 0.5 * np.exp(0.1 * g.normal(size=m))
    return estimate, estimate[:, None] * np.exp(spread * g.normal(size=(m, 200)))


def test_shapes_that_do_not_fit_are_refused():
    estimate, values = _models()
    with pytest.raises(ShapeError, match="a row for each of its 3 estimates"):
        hierarchical_reduction(values[:2], values, estimate, estimate)
    with pytest.raises(ShapeError, match="same resamples: got 200, 201"):
        hierarchical_reduction(values, np.c_[values, values[:, :1]], estimate, estimate)
    with pytest.raises(ShapeError, match="expected 6, got 4"):
        hierarchical_reduction(values, values, estimate, estimate, strata=[*"xxyy"])
    with pytest.raises(ShapeError, match=r"\['y', 'z'\] have those of one"):
        hierarchical_reduction(values, values, estimate, estimate, strata=[*"xxyxxz"])
    with pytest.raises(ConfigError, match="at least 200 replicates, got 199"):
        hierarchical_reduction(values[:, 1:], values, estimate, estimate)
    values[1, 5] = np.inf
    with pytest.raises(NonFiniteError, match=r"reference\[1, 5\] is inf"):
        hierarchical_reduction(values, values, estimate, estimate)


def _missing(*arguments, **options):
    found = hierarchical_reduction(*arguments, **options)
    assert found.interval is None
    return found


def test_what_cannot_have_an_interval_has_an_estimate_and_a_reason():
    (one, of_one), (two, of_two), (three, of_three) = (_models(m=m) for m in (1, 2, 3))
    found = _missing(of_three, of_one, three, one)
    assert found.estimate == pytest.approx(1 - one.mean() / three.mean())
    assert "two of each method in every stratum" in found.missing
    assert "single stratum" in _missing(of_three, of_two, three, two).missing
    constant = np.full(3, 0.2)
    assert "do not vary" in _missing(of_three / three[:, None], of_three / three[:, None], constant, constant).missing
    below = of_three.copy()
    below[:, 7] = -0.1
    assert "not above zero in every resample" in _missing(below, of_three, three, three).missing


def test_two_models_are_enough_where_there_are_two_strata():
    estimate, values = _models(m=4)
    found = hierarchical_reduction(values, values, estimate, estimate, strata=[*"xxyy"] * 2)
    assert found.interval.low < found.estimate < found.interval.high


def test_a_mean_not_above_zero_has_no_reduction():
    estimate, values = _models()
    found = _missing(values, values, -estimate, estimate)
    assert found.estimate is None
    assert "mean of reference" in found.missing


def test_replicates_of_layers_need_two_models_in_every_stratum_and_matching_tables():
    values, estimate = np.ones((3, 10, 2)), np.ones((3, 2))
    with pytest.raises(ShapeError, match="stratum 'y' has one model"):
        hierarchical_replicates(values, estimate, strata=[*"xxy"])
    with pytest.raises(ShapeError, match=r"\(models, resamples, layers\)"):
        hierarchical_replicates(values[:2], estimate)
    with pytest.raises(ShapeError, match="expected 3, got 2"):
        hierarchical_replicates(values, estimate, strata=[*"xx"])
    values[0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="1 values that are not finite"):
        hierarchical_replicates(values, estimate)


def test_models_that_agree_leave_the_replicates_of_the_samples():
    values = 1 + np.random.default_rng(0).normal(size=(3, 10, 2))
    found = hierarchical_replicates(values, np.ones((3, 2)))
    assert found == pytest.approx(values.mean(axis=0))
