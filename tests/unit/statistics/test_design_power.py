import math

import pytest

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.design_power import models_needed, samples_needed, unreachable

PILOT = [1.0, 1.2, 0.9], [0.7, 0.8, 0.6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0.2, "margin": 0.2}, "above the margin and below 1: reduction 0.2, margin 0.2"),
        ({"reduction": 1.0}, "above the margin and below 1"),
        ({"reduction": 0.3, "margin": math.nan}, "above the margin and below 1"),
        ({"reduction": 0.3, "target": 80}, "a power lies between 0 and 1"),
        ({"reduction": 0.3, "n_models": []}, "n_models should list numbers"),
        ({"reduction": 0.3, "n_models": [0, 3]}, "n_models should list numbers"),
        ({"reduction": 0.3, "n_simulations": 0}, "n_simulations and n_permutations"),
        ({"reduction": 0.3, "n_permutations": 0}, "n_simulations and n_permutations"),
        ({"reduction": 0.3, "alpha": 0}, "alpha should lie between 0 and 1"),
        ({"reduction": 0.3, "n_tests": 0}, "n_tests should be at least 1"),
        ({"reduction": 0.3, "n_models": [5], "n_permutations": 15}, "15 random arrangements give no p below 0.062"),
    ],
)
def test_plans_without_a_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        models_needed(*PILOT, **options)


def test_all_faults_of_a_plan_are_said_together():
    with pytest.raises(ConfigError, match="above the margin.*; a power lies"):
        models_needed(*PILOT, reduction=2, target=2)


def test_pilots_without_a_spread_are_refused():
    with pytest.raises(DegenerateInputError, match=r"comparison\[1\] is 0"):
        models_needed([1, 2], [1, 0], reduction=0.3)
    with pytest.raises(DegenerateInputError, match="do not vary within methods"):
        models_needed([2, 2], [1, 1], reduction=0.3)
    with pytest.raises(ShapeError, match="one model of each method"):
        models_needed([1, 2, 3], [1, 2, 3], reduction=0.3, strata=[*"aab"] * 2)
    with pytest.raises(NonFiniteError, match=r"reference\[0\] is nan"):
        models_needed([math.nan, 2], [1, 1], reduction=0.3)
    with pytest.raises(ShapeError, match="stratum 'b' has 0 values"):
        models_needed([1, 2], [1, 2], reduction=0.3, strata=[*"aaab"])


def test_designs_that_are_none_are_refused():
    for sizes in ([], [(3, 0)], [(3, 3), (0, 3)]):
        with pytest.raises(ShapeError, match="every stratum should have models of both"):
            unreachable(sizes)
    with pytest.raises(ConfigError, match="alpha"):
        unreachable([(3, 3)], alpha=1)
    with pytest.raises(ConfigError, match="n_tests"):
        unreachable([(3, 3)], n_tests=0)
    with pytest.raises(UnknownNameError, match="two-sided"):
        unreachable([(3, 3)], alternative="both")


@pytest.mark.parametrize(
    ("half_width", "n", "target"), [(0, 10, 1), (1, 0, 1), (1, 10, 0), (math.nan, 10, 1), (1, 10, math.inf)]
)
def test_samples_from_no_pilot_or_for_no_target_are_refused(half_width, n, target):
    with pytest.raises(ConfigError, match="above 0 and finite"):
        samples_needed(half_width, n, target=target)


def test_a_target_above_the_pilot_needs_fewer_samples():
    assert samples_needed(0.1, 100, target=0.2) == 25
    assert samples_needed(0.1, 100, target=0.1) == 100
    assert samples_needed(0.1, 3, target=10.0) == 1


def test_a_pilot_that_leaves_spreads_beyond_floating_point_is_refused_and_rejects_nothing():
    with pytest.raises(DegenerateInputError, match="no floating-point number"):
        models_needed([1e-3, 1e3], [1.0], reduction=0.5, n_simulations=2000)
