"""Ends at other confidences and of means, against the jackknife itself."""

import math

import numpy as np
import pytest

from repdrift.comparison.gate.bounds import Spread, mean_spread, spread_about, spread_of
from repdrift.core.confidence import student_quantile
from repdrift.core.errors import ShapeError
from repdrift.similarity import measure
from repdrift.statistics import grouped_mean


def rows(seed, n=40, p=6, moved=0.5):
    generator = np.random.default_rng(seed)
    base = generator.normal(size=(n, p))
    return base, base + moved * generator.normal(size=(n, p))


@pytest.mark.parametrize("confidence", [0.8, 0.99, 0.9995])
def test_upper_end_is_the_measures_own_and_the_lower_one_reaches_further(confidence):
    cka = measure("cka")
    base, tuned = (cka.prepare(side) for side in rows(0))
    usual, wanted = cka.interval(base, tuned), cka.interval(base, tuned, confidence)
    ends = spread_of(1 - usual.high, 1 - usual.low, 39).ends(0.5 + confidence / 2)
    assert ends.high == pytest.approx(1 - wanted.low, rel=1e-9)
    drift = 1 - cka.compare(base, tuned)
    without = 1 - cka.without_one(base, tuned)
    error = math.sqrt(39 / 40 * np.square(without - without.mean()).sum())
    assert ends.low == pytest.approx(drift - student_quantile(0.5 + confidence / 2, 39) * error, abs=0.02 * drift)
    assert ends.low < 1 - wanted.high


def test_ends_of_a_weighted_mean_are_those_of_the_mean_itself():
    generator = np.random.default_rng(1)
    values, weights = generator.normal(size=30), generator.integers(1, 9, size=30)
    usual, wanted = (grouped_mean(values, weights=weights, confidence=c) for c in (0.95, 0.99))
    ends = spread_about(usual.mean, *usual.interval, usual.freedom).ends(0.995)
    assert ends == pytest.approx(wanted.interval)


def test_an_end_that_was_cut_off_does_not_narrow_the_other():
    reach = 0.3 * student_quantile(0.975, 20)
    cut = spread_about(0.1, max(0.0, 0.1 - reach), 0.1 + reach, 20)
    assert cut.error == pytest.approx(0.3)


@pytest.mark.parametrize("moved", [0.05, 0.5, 2.0])
def test_the_mean_over_layers_is_never_less_spread_than_its_own_jackknife_says(moved):
    cka, parts, without = measure("cka"), [], []
    base, _ = rows(2)
    for k in range(5):
        tuned = base + moved * (1 + k) * rows(3)[1] + 0.2 * rows(4 + k)[1]
        left, right = cka.prepare(base), cka.prepare(tuned)
        usual = cka.interval(left, right)
        parts.append(spread_of(1 - usual.high, 1 - usual.low, 39))
        without.append(1 - cka.without_one(left, right))
    mean = np.mean(without, axis=0)
    logs = np.log(mean)
    own = math.sqrt((logs.size - 1) * np.square(logs - logs.mean()).mean())
    found = mean_spread(parts)
    assert found.is_log
    assert found.error >= own * (1 - 1e-3)
    assert found.error < 3 * own
    assert math.exp(found.centre) == pytest.approx(mean.mean(), rel=0.02)


def test_layers_that_move_together_have_the_mean_error_exactly():
    part = Spread(math.log(0.2), 0.1, 30, is_log=True)
    assert mean_spread([part, part, part]) == pytest.approx(part)


def test_one_layer_on_the_plain_scale_makes_the_mean_plain():
    log, plain = spread_of(0.1, 0.4, 20), spread_of(-0.1, 0.3, 12)
    found = mean_spread([log, plain])
    assert (found.is_log, found.freedom) == (False, 12)
    assert found.centre == pytest.approx((0.2 + 0.1) / 2)
    assert found.error == pytest.approx((log.linear.error + plain.error) / 2)


def test_equal_sides_have_no_spread():
    assert spread_of(0.0, 0.0, 10).ends(0.999) == (0.0, 0.0)


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ShapeError):
        mean_spread([])
