"""The mixed model of log drift against the closed form of balanced designs."""

import numpy as np
import pytest
from scipy import stats

from repdrift.statistics import mixed_model_reduction

_TASKS, _SEEDS = 4, 3
_STRATA = [*np.repeat(range(_TASKS), _SEEDS)] * 2


def _study(seed, interaction):
    g = np.random.default_rng(seed)
    level = 0.8 * g.normal(size=(_TASKS, 1))
    effect = np.log(0.7) + interaction * g.normal(size=(_TASKS, 1))
    noise = 0.1 * g.normal(size=(2, _TASKS, _SEEDS))
    return np.exp(level + noise[0]), np.exp(level + effect + noise[1])


def _closed_form(reference, comparison):
    """Balanced: the t test of task log ratios, or, if they vary no more than seeds make them, of pooled residuals."""
    ratios = np.log(comparison).mean(axis=1) - np.log(reference).mean(axis=1)
    within = sum(((np.log(x) - np.log(x).mean(axis=1, keepdims=True)) ** 2).sum() for x in (reference, comparison))
    df_within = 2 * _TASKS * (_SEEDS - 1)
    between = _SEEDS / 2 * ((ratios - ratios.mean()) ** 2).sum()
    slope = between / (_TASKS - 1) > within / df_within
    df = _TASKS - 1 if slope else df_within + _TASKS - 1
    variance = between / (_TASKS - 1) if slope else (between + within) / df
    return slope, df, ratios.mean(), np.sqrt(2 * variance / _SEEDS / _TASKS)


@pytest.mark.parametrize(("seed", "interaction"), [(0, 0.3), (1, 0.15), (3, 0.0), (2, 0.0)])
def test_balanced_fit_is_the_closed_form(seed, interaction):
    reference, comparison = _study(seed, interaction)
    found = mixed_model_reduction(reference.ravel(), comparison.ravel(), strata=_STRATA)
    slope, df, effect, error = _closed_form(reference, comparison)
    assert found.missing is None
    assert (found.random_slope, found.degrees_of_freedom, found.n_units) == (slope, df, 24)
    assert found.reduction == pytest.approx(1 - np.exp(effect), rel=1e-6)
    reach = stats.t.ppf(0.975, df) * error
    assert found.interval == (
        pytest.approx(1 - np.exp(effect + reach), rel=1e-3),
        pytest.approx(1 - np.exp(effect - reach), rel=1e-3),
    )
    assert found.pvalue == pytest.approx(2 * stats.t.sf(abs(effect) / error, df), rel=0.02)


def test_the_cases_above_are_of_both_kinds():
    kinds = {_closed_form(*_study(seed, interaction))[0] for seed, interaction in [(0, 0.3), (3, 0.0), (2, 0.0)]}
    assert kinds == {True, False}
