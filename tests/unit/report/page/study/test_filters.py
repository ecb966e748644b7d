from dataclasses import replace

import pandas as pd

from repdrift.report.page.drift_table import drift_table
from repdrift.report.page.study import study_page
from repdrift.report.page.study.filters import study_filters
from repdrift.report.report_data import read_report_data
from tests.unit.report.synthetic_results import Synthetic, report_data, write_results

SMALL = Synthetic(tasks=("mrpc", "sst2"), layers=2, seeds=(1, 2), checkpoints=(10, 50), weights=True)
_HELD = ["drift", "drift_low", "drift_high", "noise_floor", "seed_ceiling_drift", "random_change_drift"]
_SHOWN = ["drift", "drift_low", "drift_high", "noise_floor", "seed_ceiling", "random_change"]


def with_sites(study=SMALL):
    data = report_data(study)
    inside = data.table[data.table["measure"] == "cka"]
    places = [("attn_out", 0), ("embeddings", -1), ("final_norm", study.layers)]
    other = [inside[inside["layer"] == 0].assign(site=site, layer=layer) for site, layer in places]
    return replace(data, other_sites=pd.concat(other, ignore_index=True))


def filters(data):
    return {each.column: each for each in study_filters(data, drift_table(data))}


def test_every_value_of_the_page_is_that_of_the_table_on_disk(tmp_path):
    file = write_results(tmp_path, SMALL)
    shown = drift_table(read_report_data(file))
    held = pd.read_parquet(file.with_name("drift.parquet"))
    held = held[held["drift"].notna()].reset_index(drop=True)
    assert len(shown) == len(held) == 2 * 2 * 2 * 3 * 2 * 4
    names = {"mrpc": "MRPC", "sst2": "SST-2", "lora": "LoRA", "full_finetune": "full fine-tuning"}
    for column, source in (("task", "task"), ("arm", "method")):
        assert list(shown[column]) == [names[name] for name in held[source]]
    for column in ("seed", "step", "site", "layer", "measure"):
        assert list(shown[column]) == list(held[column])
    for column, source in zip(_SHOWN, _HELD, strict=True):
        assert (shown[column].to_numpy() == held[source].to_numpy()).all()


def test_filters_offer_what_the_results_have_and_nothing_else():
    found = filters(with_sites())
    assert [words for _, words in found["task"].options] == ["MRPC", "SST-2"]
    assert [words for _, words in found["arm"].options] == ["full fine-tuning", "LoRA"]
    assert found["seed"].options == [(1, "1"), (2, "2")]
    assert [value for value, _ in found["measure"].options] == ["cka", "cka_biased", "cosine", "cosine_centered"]
    assert found["step"].options == [(0, "end of training"), (10, "10"), (50, "50")]
    assert [words for _, words in found["site"].options] == [
        "residual stream",
        "attention output",
        "embeddings",
        "output of the final norm",
    ]
    assert found["layer"].options == [(-1, "embeddings"), (0, "0"), (1, "1"), (2, "output of the final norm")]
    assert (found["layer"].whole, list(found["layer"].chosen)) == ("All layers", [])


def test_at_the_start_final_models_show_the_measure_that_is_tested():
    page = study_page(with_sites())
    chosen = {each.column: list(each.chosen) for each in page.filters}
    assert (chosen["measure"], chosen["step"], chosen["site"]) == (["cka"], [0], ["resid_post"])
    rows = page.main.rows
    start = rows[(rows["measure"] == "cka") & (rows["step"] == 0) & (rows["site"] == "resid_post")]
    assert start["drift"].mean() == report_data(SMALL).primary["drift"].mean()


def test_every_choice_of_a_filter_keeps_some_row():
    data = with_sites()
    table = drift_table(data)
    for each in study_filters(data, table):
        for value, _ in each.options:
            assert (table[each.column] == value).any(), (each.column, value)


def test_two_methods_that_would_be_called_alike_stay_two():
    found = filters(report_data(replace(SMALL, methods=("full_finetune", "lora", "LoRA"), weights=False)))
    assert [words for _, words in found["arm"].options] == ["full fine-tuning", "LoRA (lora)", "LoRA (LoRA)"]
