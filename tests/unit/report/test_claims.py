import pytest

from repdrift.report.dashboard import claims
from tests.unit.report.synthetic_results import Synthetic, report_data


@pytest.fixture(scope="module")
def data():
    return report_data(Synthetic(tasks=("mrpc", "sst2"), layers=3))


def test_claims_come_in_the_order_in_which_one_asks_with_their_units(data):
    rows = claims.claims(data)
    assert list(dict.fromkeys(row.test.hypothesis for row in rows)) == [
        "comparison_drifts_less", "reduction_exceeds_target", "methods_equivalent", "method_task_interaction",
        "drift_above_identity", "drift_above_seed_ceiling",
    ]  # fmt: skip
    alike = next(row for row in rows if row.test.hypothesis == "methods_equivalent")
    assert (alike.estimate, alike.ends, alike.over) == ("0.70", "0.60 to 0.85", "models")
    assert rows[0].claim == "LoRA drifts less"
    assert rows[0].estimate == f"{100 * data.reduction('mrpc').reduction:.0f} %"
    assert (rows[0].ends, rows[0].corrected, rows[0].correction) == (None, None, None)


def test_a_table_by_layer_for_every_claim_and_method_it_is_made_of(data):
    tables = claims.layer_tables(data)
    assert [table.title.split(" drifts")[0].split(" takes")[0] for table in tables] == [
        "LoRA", "LoRA", "full fine-tuning", "LoRA", "full fine-tuning", "LoRA"
    ]  # fmt: skip
    for table in tables:
        assert [row.test.layer for row in table.rows] == [0, 1, 2]
        assert table.correction == "max-T"
    assert [r.layer for r in tables[0].reductions] == [0, 1, 2]
    assert tables[2].reductions == []
    assert [row.corrected for row in tables[0].rows] == [row.test.pvalue_max_t for row in tables[0].rows]


def test_without_max_t_the_tables_speak_of_holm():
    data = report_data(Synthetic(tasks=("mrpc",), layers=3, inference=False))
    table = claims.layer_tables(data)[0]
    assert table.correction == "Holm"
    assert table.smallest == pytest.approx(0.15)


def test_floors_count_layers_after_correction_and_name_them(data):
    rows = {(row.method, row.floor): row for row in claims.floors(data)}
    noise = rows["lora", "noise of extraction"]
    means = [t.estimate for t in data.layer_tests("drift_above_identity", "lora")]
    assert noise.supported == [layer for layer, mean in enumerate(means) if mean > 0.01]
    assert (noise.tested, noise.layers) == (3, "0 to 2")
    assert claims.floors(report_data(Synthetic(tasks=("mrpc",), layers=2, inference=False))) == []
    unmeasured = claims.floors(report_data(Synthetic(tasks=("mrpc",), layers=2, identity=False)))
    assert [row.tested for row in unmeasured] == [0, 0, 2, 2]


def test_effects_that_are_not_there_say_why():
    rows = claims.effects(report_data(Synthetic(tasks=("mrpc",), layers=1, seeds=(1,))))
    assert {row.task for row in rows} == {"mrpc", "all"}
    delta = next(row for row in rows if row.name == "Cliff's delta")
    assert (delta.estimate, delta.ends, delta.missing) == (None, None, "fewer than 5 models a method")
    ratio = next(row for row in rows if row.name == "ratio of mean drifts")
    assert ratio.ends is None
    assert "two models" in ratio.missing


def test_intervals_stand_in_columns_by_what_they_are_over(data):
    for reduction, intervals in claims.reductions(data):
        assert reduction.layer is None
        assert [interval.over for interval in intervals] == ["models and samples", "models", "samples"]
    alone = report_data(Synthetic(tasks=("mrpc",), layers=1, seeds=(1,)))
    assert [i is None for i in claims.reductions(alone)[0][1]] == [True, True, False]


def test_the_first_ranks_hold_every_layer_that_may_be_the_largest():
    (ranking, _) = report_data(Synthetic(tasks=("mrpc",), layers=16, measures=("cka",))).results.rankings
    assert [layer.layer for layer in claims.top_ranks(ranking, most=2)] == [15, 14, 13]
    assert len(claims.top_ranks(ranking, most=6)) == 6
