import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

from repdrift.core.records.representation_set import ModuleChange
from repdrift.core.records.results import DRIFT_COLUMNS, RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET
from repdrift.drift import BaseSets, DriftPlan, PlannedSet, analyze
from repdrift.drift.result_files import shipped_schema
from repdrift.drift.weight_rows import WEIGHT_MEASURES, layer_weight_measures
from tests.resealed import edit_record
from tests.unit.drift.study_on_disk import write_set

LAYERS, N, P = 2, 30, 6


def _change(layer, norm, change_norm, stable_rank, **lora):
    relative = change_norm / norm if norm else None
    return ModuleChange(
        layer=layer, module="m", norm=norm, change_norm=change_norm, relative_change=relative, stable_rank=stable_rank, **lora
    )  # fmt: skip


def test_relative_change_is_over_the_changed_weights_together():
    found = layer_weight_measures([_change(0, 3, 0.3, 1), _change(0, 4, 0.4, 1), _change(0, 100, 0, 0)])
    assert found == {0: {"weight_relative_change": pytest.approx(0.1), "weight_stable_rank": 1}}


def test_stable_rank_is_weighted_by_the_change_and_is_of_matrices():
    found = layer_weight_measures(
        [_change(0, 1, 3, 2), _change(0, 1, 1, 6), _change(0, 1, 5, None), _change(0, 1, 0, 0)]
    )
    assert found[0]["weight_stable_rank"] == pytest.approx((3 * 2 + 1 * 6) / 4)


def test_module_whose_b_is_zero_counts_as_one_that_uses_nothing():
    lora = [{"rank": 8, "scaling": 2, "effective_rank": e, "rank_utilisation": u} for e, u in ((6, 0.75), (0, 0))]
    found = layer_weight_measures([_change(1, 2, 1, 3, **lora[0]), _change(1, 2, 0, 0, **lora[1])])
    assert found[1]["lora_effective_rank"] == 3
    assert found[1]["lora_rank_utilisation"] == 0.375
    assert found[1]["weight_stable_rank"] == 3


def test_layer_that_did_not_change_has_zero_and_one_that_was_zero_has_no_ratio():
    assert layer_weight_measures([_change(0, 2, 0, 0)]) == {0: {"weight_relative_change": 0.0}}
    assert layer_weight_measures([_change(0, 0, 1, None)]) == {0: {}}
    assert layer_weight_measures([_change(None, 2, 1, 1)]) == {}


def _write(folder, method, seed, tensors, changes):
    write_set(
        folder, "sst2", method, seed, tensors, weights_digest=f"{method}{seed}", base_weights_digest="baseNone",
        sample_set_fingerprint="f", sample_ids=[str(i) for i in range(N)], shape=[N, P], layers=list(range(LAYERS)), run_metrics=None,
        weight_changes=changes,
    )  # fmt: skip


@pytest.fixture
def plan(tmp_path):
    """Two methods, two seeds; only lora's sets speak of their weights."""
    g = np.random.default_rng(0)
    base = [g.normal(size=(N, P)) for _ in range(LAYERS)]
    _write(tmp_path / "base", "base", None, base, None)
    sets = []
    for method, noise in (("full_finetune", 0.6), ("lora", 0.3)):
        for seed in (1, 2):
            folder = tmp_path / f"{method}{seed}"
            lora = {"rank": 4, "scaling": 2.0, "effective_rank": 2.0, "rank_utilisation": 0.5}
            changes = [_change(layer, 1.0, 0.1 * seed, 1.5, **lora) for layer in range(LAYERS + 1)]
            tuned = [b + noise * g.normal(size=b.shape) for b in base]
            _write(folder, method, seed, tuned, [*changes, _change(None, 1, 1, 1)] if method == "lora" else None)
            sets.append(PlannedSet("sst2", method, seed, 0, folder, "make"))
    return DriftPlan(
        study="test", model="tiny", tasks=["sst2"], methods=["full_finetune", "lora"], seeds=[1, 2], sets=sets,
        bases={"sst2": BaseSets(tmp_path / "base", tmp_path / "none", "make")}, measures=("cka",), target_reduction=0.2, alpha=0.05,
    )  # fmt: skip


def without_weights(content):
    del content["weight_changes"], content["weights_not_compared"]


def test_rows_have_a_value_and_nothing_else_and_leave_the_results_alone(plan, tmp_path):
    results, table = analyze(plan, tmp_path / "out")
    about_weights = table["measure"].isin(list(WEIGHT_MEASURES))
    rows = table[about_weights]
    assert set(rows["measure"]) == set(WEIGHT_MEASURES)
    assert len(rows) == 2 * LAYERS * 4, "lora's two seeds, the layers of the set, four measures"
    assert set(rows["method"]) == {"lora"}
    assert rows["value"].notna().all()
    filled = {"task", "method", "seed", "step", "site", "layer", "measure", "value"}
    assert rows[[c for c in DRIFT_COLUMNS if c not in filled]].isna().all(axis=None)
    relative = rows[rows["measure"] == "weight_relative_change"]
    assert dict(zip(relative["seed"], relative["value"], strict=False)) == pytest.approx({1: 0.1, 2: 0.2})
    for found in plan.sets:
        edit_record(found.folder / "metadata.json", without_weights)  # as an older version wrote it
    without, plain = analyze(plan, tmp_path / "without")
    assert without.model_copy(update={"created": results.created, "table_sha256": results.table_sha256}) == results
    pd.testing.assert_frame_equal(table[~about_weights].reset_index(drop=True), plain)


def test_files_keep_schema_columns_and_whole_numbers(plan, tmp_path):
    analyze(plan, tmp_path / "out")
    jsonschema.validate(json.loads((tmp_path / "out" / RESULTS_FILE).read_text()), shipped_schema())
    parquet, csv = (
        pd.read_parquet(tmp_path / "out" / TABLE_PARQUET),
        pd.read_csv(tmp_path / "out" / TABLE_CSV, dtype=str),
    )
    assert list(parquet.columns) == list(csv.columns) == list(DRIFT_COLUMNS)
    assert set(csv["n"].dropna()) == {str(N)}
    assert parquet["n"].dropna().eq(N).all()
    summary = (tmp_path / "out" / SUMMARY_FILE).read_text()
    assert f"SST-2 {N}" in summary
    assert "Of the weights themselves it has weight_relative_change, weight_stable_rank, lora_effective_rank" in summary


def test_report_is_drawn_from_such_a_table(plan, tmp_path):
    from repdrift.report.report_data import read_report_data

    analyze(plan, tmp_path / "out")
    data = read_report_data(tmp_path / "out" / RESULTS_FILE)
    assert set(data.primary["measure"]) == {"cka"}
    assert data.drift("sst2", "lora").shape == (2, LAYERS)
