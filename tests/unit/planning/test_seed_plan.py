import math

import pytest
from scipy.stats import chi2

from repdrift.core.errors import ConfigError, DataError
from repdrift.planning.seed_plan import least_models, seed_plan
from repdrift.statistics import models_needed
from tests.unit.planning.pilots import A, B, pilots_of


def test_least_models_is_the_first_whose_most_extreme_arrangement_is_rare_enough():
    for strata in (1, 2, 4, 5):
        for level in (0.05, 0.05 / 24, 0.01):
            n = least_models(strata, alpha=level)
            assert math.comb(2 * n, n) ** -strata <= level * (1 + 1e-12)
            assert n == 1 or math.comb(2 * n - 2, n - 1) ** -strata > level
    assert least_models(1, alpha=0.05) == 3, "3 against 3 give exactly 0.05"
    assert least_models(1, alpha=0.05, n_tests=6) == 5


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        (([0.5], [0.4]), "1 and 1 models of the methods on a, too few to tell how far seeds differ"),
        (([0.5], [0.4, 0.3]), "1 and 2 models of the methods on a, too few"),
        (([0.5, 0.4, -0.01], [0.4, 0.3]), "a drift on a that is not above 0"),
        (([0.5, 0.4, 0.3], [1e-17, 3e-17]), "a drift on a that is not above 0"),  # rounding is no spread between seeds
        (([0.5, 0.5], [0.4, 0.4]), "drifts on a are the same for every seed"),
        (([0.5, 0.4], None), "no models of both full fine-tuning and LoRA on a"),
        (([0.5, 0.4, 0.3], [None, None]), "no drift of one of the methods on a"),
    ],
)
def test_a_pilot_without_a_spread_says_why_and_is_not_planned_from(sides, reason):
    (pilot,) = pilots_of({"a": sides})
    assert reason in pilot.missing
    with pytest.raises(DataError, match="a: the pilot"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=0.05)


def test_the_plan_is_that_of_the_statistics_and_stops_at_the_first_design_with_power():
    pilot = pilots_of({"a": A, "b": B})[-1]
    plan = seed_plan(pilot, reductions=[0.28, 0.5], margin=0.2, alpha=0.05, n_tests=2, max_seeds=4, seed=3)
    for answer in plan.answers:
        whole = models_needed(
            pilot.reference,
            pilot.comparison,
            strata=pilot.strata,
            reduction=answer.reduction,
            margin=0.2,
            n_tests=2,
            n_models=range(2, 5),
            seed=3,
        )
        assert answer.needed == whole.needed
        assert answer.tried == whole.designs[: len(answer.tried)]
        assert answer.now == whole.designs[0]
        assert all(design.power < 0.8 for design in answer.tried[:-1])
    assert [answer.needed for answer in plan.answers] == [None, 3]
    assert [d.n_models for d in plan.answers[0].tried] == [2, 3, 4]
    assert plan.smallest_pvalue == pytest.approx(1 / 200, abs=0)
    assert plan.impossible is None
    assert plan.least_seeds == 3, "1/36 is above 0.05 / 2"


def test_a_design_that_cannot_be_significant_has_no_power_and_says_so():
    pilot = pilots_of({"b": B})[0]
    plan = seed_plan(pilot, reductions=[0.9], margin=0.2, alpha=0.05, max_seeds=2)
    assert "3 against 2: no data give a p below 0.1" in plan.impossible
    assert plan.answers[0].now.power == 0
    assert plan.answers[0].needed is None
    assert plan.least_seeds == 3


def test_the_interval_of_the_spread_is_that_of_a_normal_standard_deviation():
    plan = seed_plan(pilots_of({"a": A})[0], reductions=[0.5], margin=0, alpha=0.05, max_seeds=3)
    (s,), (df,) = plan.spread, plan.degrees_of_freedom
    assert df == 4
    assert plan.spread_low[0] == pytest.approx(s * math.sqrt(df / chi2(df).ppf(0.975)), rel=1e-10, abs=0)
    assert plan.spread_high[0] == pytest.approx(s * math.sqrt(df / chi2(df).ppf(0.025)), rel=1e-10, abs=0)


def test_plans_without_a_meaning_are_refused():
    pilot = pilots_of({"a": A})[0]
    with pytest.raises(ConfigError, match="at least 2, got 1"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=0.05, max_seeds=1)
    with pytest.raises(ConfigError, match="at least one reduction"):
        seed_plan(pilot, reductions=[], margin=0.2, alpha=0.05)
    with pytest.raises(ConfigError, match="above the margin"):
        seed_plan(pilot, reductions=[0.2], margin=0.2, alpha=0.05)
    with pytest.raises(ConfigError, match="corrected for 24 test"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=1e-4, n_tests=24)


def test_a_spread_beyond_all_numbers_is_refused_and_not_taken_for_a_difference():
    pilot = pilots_of({"a": ([1e-10, 1e290], [1e-10, 1e290])}, layers=1, share=(1,))[0]
    with pytest.raises(DataError, match="simulated drifts overflow. Train more seeds"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=0.05, max_seeds=3)
