"""Effect sizes over strata against the contrast of cell means written out, a search for Fieller's ends, and simulation."""

import numpy as np
import pytest
from scipy import optimize, stats

from repdrift.statistics import cliffs_delta, log_ratio, mean_difference, mean_ratio, mean_reduction

_SIZES = [(3, 4), (2, 5), (6, 3)]
_STRATA = [*np.repeat([*"xyz"], [m for m, _ in _SIZES]), *np.repeat([*"xyz"], [k for _, k in _SIZES])]


def _cells(seed):
    g = np.random.default_rng(seed)
    levels = [0.3, 0.5, 0.9]
    a = [level * np.exp(0.2 * g.normal(size=m)) * 0.7 for level, (m, _) in zip(levels, _SIZES, strict=True)]
    b = [level * np.exp(0.1 * g.normal(size=k)) for level, (_, k) in zip(levels, _SIZES, strict=True)]
    return a, b


def _error_and_freedom(parts):
    """Of a sum of means: root of the summed squared errors, and Satterthwaite's degrees of freedom."""
    errors = np.array([weight**2 * stats.sem(x) ** 2 for weight, x in parts])
    freedom = errors.sum() ** 2 / sum(e**2 / (x.size - 1) for e, (_, x) in zip(errors, parts, strict=True))
    return np.sqrt(errors.sum()), freedom


@pytest.mark.parametrize("logarithm", [False, True])
def test_difference_is_a_contrast_of_cell_means(logarithm):
    a, b = _cells(0)
    turn = np.log if logarithm else np.asarray
    found = (log_ratio if logarithm else mean_difference)(np.concatenate(a), np.concatenate(b), strata=_STRATA)
    expected = np.mean([turn(x).mean() - turn(y).mean() for x, y in zip(a, b, strict=True)])
    error, freedom = _error_and_freedom([(1 / 3, turn(x)) for x in [*a, *b]])
    reach = stats.t.ppf(0.975, freedom) * error
    assert (found.estimate, *found.interval) == (
        pytest.approx(expected),
        pytest.approx(expected - reach),
        pytest.approx(expected + reach),
    )


def test_ratio_ends_are_where_the_test_of_a_ratio_turns():
    a, b = _cells(1)
    found = mean_ratio(np.concatenate(a), np.concatenate(b), strata=_STRATA)
    ratio = np.mean([x.mean() for x in a]) / np.mean([y.mean() for y in b])
    assert found.estimate == pytest.approx(ratio)
    _, freedom = _error_and_freedom([(1 / 3, x) for x in a] + [(ratio / 3, y) for y in b])

    def beyond(r):
        error, _ = _error_and_freedom([(1 / 3, x) for x in a] + [(r / 3, y) for y in b])
        difference = np.mean([x.mean() for x in a]) - r * np.mean([y.mean() for y in b])
        return abs(difference) / error - stats.t.ppf(0.975, freedom)

    assert found.interval.low == pytest.approx(optimize.brentq(beyond, 0.01, ratio))
    assert found.interval.high == pytest.approx(optimize.brentq(beyond, ratio, 5))


def test_reduction_has_the_delta_methods_interval_of_cell_means():
    a, b = _cells(1)
    top, bottom = (np.mean([x.mean() for x in cells]) for cells in (a, b))
    swapped = [*_STRATA[11:], *_STRATA[:11]]
    found = mean_reduction(np.concatenate(b), np.concatenate(a), strata=swapped)
    error, freedom = _error_and_freedom([(1 / 3 / top, x) for x in a] + [(1 / 3 / bottom, y) for y in b])
    reach = stats.t.ppf(0.975, freedom) * error
    assert (found.estimate, *found.interval) == (
        pytest.approx(1 - top / bottom),
        pytest.approx(1 - top / bottom * np.exp(reach)),
        pytest.approx(1 - top / bottom * np.exp(-reach)),
    )


@pytest.mark.parametrize("effect", [mean_difference, log_ratio, mean_ratio, mean_reduction, cliffs_delta])
def test_one_stratum_is_none_and_order_within_the_lists_does_not_matter(effect):
    g = np.random.default_rng(2)
    a, b = 1 + 0.2 * g.normal(size=4), 1.1 + 0.2 * g.normal(size=5)
    assert effect(a, b, strata=["x"] * 9) == effect(a, b)
    order, other = np.array([2, 0, 3, 1]), np.array([4, 1, 0, 2, 3])
    strata = np.array([*"xxyy", *"xyxyy"])
    one = effect(a, b, strata=list(strata))
    again = effect(a[order], b[other], strata=[*strata[:4][order], *strata[4:][other]])
    assert (one.estimate, *one.interval) == pytest.approx((again.estimate, *again.interval))


def test_cliffs_delta_puts_the_ends_of_strata_together_side_by_side():
    a, b = _cells(3)
    found = cliffs_delta(np.concatenate(a), np.concatenate(b), strata=_STRATA)
    alone = [cliffs_delta(x, y) for x, y in zip(a, b, strict=True)]
    delta = np.mean([e.estimate for e in alone])
    assert found.estimate == pytest.approx(delta)
    assert found.interval.low == pytest.approx(
        delta - np.sqrt(sum((e.estimate - e.interval.low) ** 2 for e in alone)) / 3
    )
    assert found.interval.high == pytest.approx(
        delta + np.sqrt(sum((e.interval.high - e.estimate) ** 2 for e in alone)) / 3
    )


def test_intervals_over_four_tasks_cover():
    g, trials = np.random.default_rng(4), 400
    level = np.repeat([0.1, 0.3, 0.5, 0.8], 3)
    strata = [*np.repeat(range(4), 3)] * 2
    truth = [(mean_difference, -0.2 * 0.425), (mean_ratio, 0.8), (log_ratio, np.log(0.8))]
    covered = np.zeros(3)
    for _ in range(trials):
        a, b = 0.8 * level * (1 + 0.15 * g.normal(size=12)), level * (1 + 0.05 * g.normal(size=12))
        found = [effect(a, b, strata=strata) for effect, _ in truth]
        covered += [e.interval.low <= t <= e.interval.high for e, (_, t) in zip(found, truth, strict=True)]
    low, high = stats.binom.interval(0.9999, trials, 0.95)
    assert (covered >= low).all()
    assert (covered[:2] <= high).all()
