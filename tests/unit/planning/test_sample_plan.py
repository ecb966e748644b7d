import math

import pytest

from repdrift.core.errors import ConfigError
from repdrift.planning.sample_plan import sample_plans
from tests.unit.planning.pilots import A, B, pilot_results


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


def test_samples_in_groups_ask_for_more_groups_and_too_few_are_said():
    from repdrift.planning.plan_text import _samples

    results, table = pilot_results({"a": A})
    table["interval"] = "jackknife over 31 paragraphs"
    plans = sample_plans(results, table, target=0.05)
    assert plans[1].groups == "31 paragraphs"
    assert "from 31 paragraphs): it takes as many times more groups" in " ".join(
        " ".join(_samples(plans, 0.05)).split()
    )
    results, table = pilot_results({"a": A}, half_width=None)
    table["interval"] = "none: the samples come from 4 paragraphs"
    assert sample_plans(results, table)[1].missing == "no interval over samples: the samples come from 4 paragraphs"
