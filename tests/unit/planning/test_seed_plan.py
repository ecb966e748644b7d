import math

import pytest
from scipy.stats import chi2

from repdrift.core.errors import ConfigError, DataError, UnknownNameError
from repdrift.planning.pilot import layer_pilots, pilots
from repdrift.planning.sample_plan import sample_plans
from repdrift.planning.seed_plan import least_models, seed_plan
from repdrift.statistics import models_needed
from tests.unit.planning.pilots import pilot_results

A = [0.50, 0.54, 0.47], [0.40, 0.36, 0.41]
B = [0.30, 0.35, 0.33], [0.20, 0.19]


def _pilots(drifts, tasks=None, **options):
    return pilots(pilot_results(drifts, **options)[0], tasks)


def test_least_models_is_the_first_whose_most_extreme_arrangement_is_rare_enough():
    for strata in (1, 2, 4, 5):
        for level in (0.05, 0.05 / 24, 0.01):
            n = least_models(strata, alpha=level)
            assert math.comb(2 * n, n) ** -strata <= level * (1 + 1e-12)
            assert n == 1 or math.comb(2 * n - 2, n - 1) ** -strata > level
    assert least_models(1, alpha=0.05) == 3, "3 against 3 give exactly 0.05"
    assert least_models(1, alpha=0.05, n_tests=6) == 5


def test_pilots_are_the_tasks_and_all_of_them_with_their_numbers_of_models():
    a, b, together = _pilots({"a": A, "b": B})
    assert (a.where, a.sizes, a.seeds, a.missing) == ("a", [(3, 3)], 3, None)
    assert (b.sizes, b.seeds) == ([(3, 2)], 2)
    assert (together.where, together.sizes, together.seeds) == ("all", [(3, 3), (3, 2)], 2)
    assert together.reference == (*A[0], *B[0])
    assert together.comparison == (*A[1], *B[1])
    assert together.strata == (*"aaabbb", *"aaabb")
    assert [p.where for p in _pilots({"a": A, "b": B}, ["b"])] == ["b"]
    with pytest.raises(UnknownNameError, match="unknown task of these results 'bb'"):
        _pilots({"a": A, "b": B}, ["bb"])


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        (([0.5], [0.4]), "1 and 1 models of the methods on a, too few to tell how far seeds differ"),
        (([0.5], [0.4, 0.3]), "1 and 2 models of the methods on a, too few"),
        (([0.5, 0.4, -0.01], [0.4, 0.3]), "a drift on a that is not above 0"),
        (([0.5, 0.5], [0.4, 0.4]), "drifts on a are the same for every seed"),
        (([0.5, 0.4], None), "no models of both full fine-tuning and LoRA on a"),
        (([0.5, 0.4, 0.3], [None, None]), "no drift of one of the methods on a"),
    ],
)
def test_a_pilot_without_a_spread_says_why_and_is_not_planned_from(sides, reason):
    (pilot,) = _pilots({"a": sides})
    assert reason in pilot.missing
    with pytest.raises(DataError, match="a: the pilot"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=0.05)


def test_what_is_missing_is_named_and_not_filled_in():
    (pilot,) = _pilots({"a": ([0.5, None, 0.4], A[1])})
    assert pilot.left_out == ("a, full_finetune, seed 1",)
    assert pilot.reference == (0.5, 0.4)
    one, other, *together = _pilots({"a": A, "b": ([0.5, 0.4], None)})
    assert one.missing is None
    assert "no models of both" in other.missing
    assert together == [], "one task that can be compared is not several"
    *_, together = _pilots({"a": A, "b": ([0.5], [0.4])})
    assert "1 and 1 models of the methods on b" in together.missing, "the analysis would test b with the others"


def test_the_plan_is_that_of_the_statistics_and_stops_at_the_first_design_with_power():
    pilot = _pilots({"a": A, "b": B})[-1]
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
    pilot = _pilots({"b": B})[0]
    plan = seed_plan(pilot, reductions=[0.9], margin=0.2, alpha=0.05, max_seeds=2)
    assert "3 against 2: no data give a p below 0.1" in plan.impossible
    assert plan.answers[0].now.power == 0
    assert plan.answers[0].needed is None
    assert plan.least_seeds == 3


def test_the_interval_of_the_spread_is_that_of_a_normal_standard_deviation():
    plan = seed_plan(_pilots({"a": A})[0], reductions=[0.5], margin=0, alpha=0.05, max_seeds=3)
    (s,), (df,) = plan.spread, plan.degrees_of_freedom
    assert df == 4
    assert plan.spread_low[0] == pytest.approx(s * math.sqrt(df / chi2(df).ppf(0.975)), rel=1e-10, abs=0)
    assert plan.spread_high[0] == pytest.approx(s * math.sqrt(df / chi2(df).ppf(0.025)), rel=1e-10, abs=0)


def test_plans_without_a_meaning_are_refused():
    pilot = _pilots({"a": A})[0]
    with pytest.raises(ConfigError, match="at least 2, got 1"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=0.05, max_seeds=1)
    with pytest.raises(ConfigError, match="at least one reduction"):
        seed_plan(pilot, reductions=[], margin=0.2, alpha=0.05)
    with pytest.raises(ConfigError, match="above the margin"):
        seed_plan(pilot, reductions=[0.2], margin=0.2, alpha=0.05)
    with pytest.raises(ConfigError, match="corrected for 24 test"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=1e-4, n_tests=24)


def test_a_spread_beyond_all_numbers_is_refused_and_not_taken_for_a_difference():
    pilot = _pilots({"a": ([1e-150, 1e150], [1e-150, 1e150])}, layers=1, share=(1,))[0]
    with pytest.raises(DataError, match="simulated drifts overflow. Train more seeds"):
        seed_plan(pilot, reductions=[0.3], margin=0.2, alpha=0.05, max_seeds=3)


def test_layers_are_planned_for_by_the_median_and_the_largest_spread():
    results, _ = pilot_results({"a": A, "b": B}, layers=3, share=(1, -1, 1))
    chosen, absent = layer_pilots(results)
    assert [p.where for p in chosen] == ["layer 0, of median spread", "layer 2, of largest spread"]
    assert chosen[1].reference == pytest.approx([x**3 for x in (*A[0], *B[0])])
    assert absent == [
        "Layer 1 cannot be planned for: the pilot has a drift on a that is not above 0, and the spread is taken of log drift."
    ]
    single, _ = layer_pilots(pilot_results({"a": A}, layers=1)[0])
    assert [p.where for p in single] == ["layer 0, of median spread"]
    with pytest.raises(DataError, match="no layer can be planned for: the pilot has a drift"):
        layer_pilots(pilot_results({"a": A}, share=(-1, -1))[0])
    with pytest.raises(DataError, match="no layer can be planned for"):
        layer_pilots(pilot_results({"a": ([0.5], None)})[0])


def test_half_widths_are_the_median_and_the_widest_over_layers_and_seeds():
    results, table = pilot_results({"a": A, "b": B})
    widest = (table["task"] == "a") & (table["method"] == "lora") & (table["layer"] == 1) & (table["seed"] == 2)
    table.loc[widest, "drift_high"] += 0.4
    found = {(p.task, p.method): p for p in sample_plans(results, table, target=0.05)}
    assert list(found) == [(t, m) for t in "ab" for m in ("full_finetune", "lora")]
    uneven = found["a", "lora"]  # 0.01, 0.02, 0.11, 0.12, 0.21, and 0.42 for 0.22
    assert uneven.n_samples == 100
    assert uneven.median == pytest.approx(0.115)
    assert (uneven.largest, uneven.layer, uneven.seed) == (pytest.approx(0.42), 1, 2)
    assert uneven.needed_median == math.ceil(100 * (0.115 / 0.05) ** 2)
    assert uneven.needed_largest == math.ceil(100 * (0.42 / 0.05) ** 2)
    assert found["b", "lora"].seed == 1
    assert sample_plans(results, table, ["a"])[0].needed_median is None
    with pytest.raises(ConfigError, match="half-width should be above 0"):
        sample_plans(results, table, target=0)


def test_samples_are_not_planned_without_intervals_or_one_number_of_samples():
    def why(table):
        return sample_plans(results, table, target=0.05)[1].missing

    results, table = pilot_results({"a": ([0.5, 0.4], None)})
    assert why(table) == "no trained model"
    results, table = pilot_results({"a": A}, half_width=None)
    assert why(table) == "no interval over samples"
    results, table = pilot_results({"a": A}, half_width=0.0)
    assert why(table) == "intervals without a width"
    results, table = pilot_results({"a": A})
    table.loc[table["seed"] == 1, "n"] = 90
    assert why(table) == "models with different numbers of samples"
    _, table = pilot_results({"a": A})
    table["step"] = 5
    assert why(table) == "no trained model", "checkpoints are no final models"
