import numpy as np
import pytest

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics import mixed_model_reduction

_STRATA = [*"aabbcc"] * 2


def _study(seed=0, tasks=3, level=0.8):
    g = np.random.default_rng(seed)
    levels = np.repeat(level * g.normal(size=tasks), 2)
    return np.exp(levels + 0.1 * g.normal(size=2 * tasks)), 0.7 * np.exp(levels + 0.1 * g.normal(size=2 * tasks))


def test_numbers_scale_with_nothing_and_order_does_not_matter():
    reference, comparison = _study()
    found = mixed_model_reduction(reference, comparison, strata=_STRATA)
    assert found.missing is None
    assert found.interval.low < found.reduction < found.interval.high
    again = mixed_model_reduction(1e-4 * reference[::-1], 1e-4 * comparison[::-1], strata=[*"ccbbaa"] * 2)
    assert (again.reduction, again.interval.low) == (
        pytest.approx(found.reduction, rel=1e-5),
        pytest.approx(found.interval.low, rel=1e-3),
    )


def _missing(reference, comparison, strata):
    found = mixed_model_reduction(reference, comparison, strata=strata)
    numbers = (found.reduction, found.interval, found.pvalue, found.degrees_of_freedom, found.random_slope)
    assert numbers == (None,) * 5
    assert found.n_units == len(reference) + len(comparison)
    return found.missing


def test_two_tasks_are_too_few():
    assert "at least 3" in _missing([1, 1.1, 2, 2.1], [1, 1.2, 2, 2.2], [*"aabb"] * 2)


def test_a_drift_without_a_logarithm_is_named():
    reference, comparison = _study()
    comparison[3] = -0.01
    assert "comparison[3] is -0.01" in _missing(reference, comparison, _STRATA)


def test_one_model_a_cell_shows_no_spread():
    assert "no task has two models of one method" in _missing([1, 2, 3], [1, 2, 4], [*"abc"] * 2)


def test_models_that_do_not_vary_are_said_to():
    assert "do not vary" in _missing([1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3], _STRATA)


def test_tasks_that_do_not_differ_make_the_fit_singular_and_give_no_number():
    centred = np.tile([0.9, 1.1], 3)  # every task has the same mean
    assert "singular" in _missing(centred, 0.7 * centred, _STRATA)


def test_a_fit_that_does_not_converge_gives_no_number(monkeypatch):
    from statsmodels.regression.mixed_linear_model import MixedLM

    fit = MixedLM.fit

    def stopped_short(self, **options):
        found = fit(self, **options)
        found._results.converged = False
        return found

    monkeypatch.setattr(MixedLM, "fit", stopped_short)
    assert "did not converge" in _missing(*_study(), _STRATA)


def test_missing_runs_and_one_sided_tasks_are_refused():
    with pytest.raises(NonFiniteError, match=r"reference\[0\] is nan"):
        mixed_model_reduction([np.nan, 1, 2], [1, 2, 3], strata=[*"abc"] * 2)
    with pytest.raises(ShapeError, match="it needs both"):
        mixed_model_reduction([1, 1, 2], [1, 2, 3], strata=[*"aabbcc"])
