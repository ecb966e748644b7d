import shutil

import numpy as np
import pandas as pd
import pytest

from repdrift.core.claim_parts import correction_of, deciding_pvalue, interval_over, widest_claim
from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import DriftResults
from repdrift.drift.summary import summary_markdown
from repdrift.report.answer import design
from repdrift.report.dashboard.claims import layer_tables
from repdrift.report.report_data import layers_with, read_report_data, smallest_deciding_pvalue
from tests.resealed import edit_record
from tests.unit.report.page.study.read_page import page_source
from tests.unit.report.synthetic_results import WEIGHT_MEASURE, Synthetic, report_data, write_results

STUDY = Synthetic(tasks=("NA", "null"), seeds=(1, 2), layers=2, weights=True, missing=(("null", "lora", 2),))


@pytest.fixture(scope="module")
def results_file(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("synthetic"), STUDY)


@pytest.fixture
def copied(results_file, tmp_path):
    shutil.copytree(results_file.parent, tmp_path / "copy")
    return tmp_path / "copy" / results_file.name


def test_csv_alone_gives_what_parquet_gives_whatever_the_tasks_are_called(copied):
    from_parquet = read_report_data(copied)
    copied.with_name("drift.parquet").unlink()
    from_csv = read_report_data(copied)
    assert (from_parquet.table_name, from_csv.table_name) == ("drift.parquet", "drift.csv")
    pd.testing.assert_frame_equal(from_csv.table, from_parquet.table)
    assert set(from_csv.table.task) == {"NA", "null"}


def test_page_and_summary_have_no_absolute_path(copied, tmp_path):
    def with_paths(content):
        content["study"]["model"] = str(tmp_path / "models/my-base")
        content["warnings"] = [f"{tmp_path}/results/lora_seed1 was extracted anew."]
        content["runs"][0]["reason"] = f"{tmp_path}/results/x/metadata.json does not exist"

    edit_record(copied, with_paths)
    data = read_report_data(copied)
    assert data.results.study.model == "…/models/my-base"
    for text in (page_source(data), summary_markdown(DriftResults.read(copied), data.table)):
        assert str(tmp_path) not in text
        assert "…/models/my-base" in text
        assert "…/results/lora_seed1 was extracted anew." in text


def test_measures_of_the_weights_stay_out_of_drift(results_file):
    data = read_report_data(results_file)
    assert WEIGHT_MEASURE in set(data.table.measure)
    assert data.drift_measures == ["cka", "cka_biased", "cosine", "cosine_centered"]
    assert data.layers == [0, 1]
    assert np.isfinite(data.mean_drift("NA", "lora")).all()


def test_missing_runs_are_rows_that_are_not_there(results_file):
    data = read_report_data(results_file)
    assert list(data.drift("null", "lora").index) == [1]
    assert len(data.planned("null", "lora")) == 2
    assert [(r.task, r.method, r.seed) for r in data.absent_runs()] == [("null", "lora", 2)]
    assert data.drift("null", "dora").empty
    assert np.isnan(data.mean_drift("null", "dora")).all()


def test_controls_are_means_over_the_methods_unless_one_is_named():
    data = report_data(Synthetic(tasks=("mrpc",), layers=2))
    both = data.control_drift("seed_ceiling", "mrpc")
    each = [data.control_drift("seed_ceiling", "mrpc", method) for method in data.methods]
    assert both == pytest.approx(np.mean(each, axis=0))
    assert np.isnan(data.control_drift("seed_ceiling", "sst2")).all()


def test_tests_and_reductions_are_found_by_task_and_layer():
    data = report_data(Synthetic(tasks=("mrpc", "sst2"), layers=2, seeds=(1, 2)))
    assert data.compared_tasks() == ["mrpc", "sst2"]
    assert data.reduction("mrpc", 1).layer == 1
    assert data.reduction("all").layer is None
    assert data.reduction("rte") is None
    assert data.test("comparison_drifts_less", "all").n_units == 8
    assert [t.layer for t in data.layer_tests("reduction_exceeds_target")] == [0, 1]


def test_checkpoints_are_the_steps_before_the_final_model_with_a_drift():
    data = report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1,), checkpoints=(200, 100)))
    assert data.checkpoint_steps == [100, 200]
    assert data.drift("mrpc", "lora").shape == (1, 2), "of the final model alone"
    assert report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1,))).checkpoint_steps == []


def test_tests_of_one_method_are_kept_apart_from_those_that_compare_methods():
    data = report_data(Synthetic(tasks=("mrpc", "sst2"), layers=2))
    assert data.test("drift_above_identity", "all") is None
    assert data.test("drift_above_identity", "all", "lora").method == "lora"
    assert [t.method for t in data.layer_tests("drift_above_identity", "lora")] == ["lora", "lora"]


def test_a_control_is_at_hand_where_it_has_a_drift():
    data = report_data(Synthetic(tasks=("mrpc",), layers=1, random_change=False))
    assert data.at_hand("mispaired")
    assert not data.at_hand("random_change")


def changed(**columns):
    """A damage: the table with its columns changed, a function of the table each."""

    def damage(file):
        table = pd.read_parquet(file.with_name("drift.parquet"))
        table.assign(**{name: change(table) for name, change in columns.items()}).to_parquet(
            file.with_name("drift.parquet")
        )

    return damage


def kept(choice):
    """A damage: the table with the chosen rows alone."""

    def damage(file):
        table = pd.read_parquet(file.with_name("drift.parquet"))
        table[choice(table)].to_parquet(file.with_name("drift.parquet"))

    return damage


def without_tables(file):
    file.with_name("drift.parquet").unlink()
    file.with_name("drift.csv").unlink()


def twice(file):
    table = pd.read_parquet(file.with_name("drift.parquet"))
    pd.concat([table, table.iloc[:3]]).to_parquet(file.with_name("drift.parquet"))


def changed_by_hand(file):
    DriftResults.read(file).write(file)
    file.write_text(file.read_text().replace('"NA"', '"NB"'))


def another_status(file):
    edit_record(file, lambda content: content["runs"][0].update(status="missing"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.unlink(), "no results at .*repdrift analyze"),
        (lambda f: f.write_text("{"), "not valid JSON"),
        (lambda f: f.write_text("[]"), "schema version None, this repdrift reads 2"),
        (lambda f: f.write_text('{"schema_version": 99}'), "schema version 99, this repdrift reads 2"),
        (lambda f: f.write_text('{"schema_version": 2}'), "not a valid DriftResults.*repdrift analyze"),
        (changed_by_hand, "does not have its checksum.*repdrift analyze"),
        (without_tables, "neither drift.parquet nor drift.csv is beside"),
        (lambda f: f.with_name("drift.parquet").write_bytes(b"x"), "drift.parquet is not a readable table"),
        (lambda f: pd.DataFrame({"task": ["x"]}).to_parquet(f.with_name("drift.parquet")), "lacks the column.*measure"),
        (kept(lambda t: t.layer < 0), "is empty"),
        (
            changed(layer=lambda t: t.layer.astype(str) + "th", drift=lambda _: "much"),
            "layer should be int64 .*; drift should be float64",
        ),
        (changed(drift=lambda t: t.drift.where(t.layer > 0, np.inf)), "infinite values in drift"),
        (
            twice,
            r"3 row\(s\) twice, the first for task NA, method full_finetune, seed 1, step 0, site resid_post, layer 0",
        ),
        (another_status, "not of one analysis: NA, full_finetune, seed 1, step 0 is in the table only"),
        (kept(lambda t: t.task != "NA"), "NA, full_finetune, seed 1, step 0 is in the results only"),
        (kept(lambda t: t.layer > 0), "2 layers in the results, 1 in the table"),
        (changed(drift=lambda _: np.nan), "no drift of a final model .* under the primary measure 'cka'"),
    ],
)
def test_bad_input_is_one_message_that_says_what_to_do(copied, damage, message):
    damage(copied)
    with pytest.raises(DataError, match=message) as caught:
        read_report_data(copied)
    assert ".. " not in str(caught.value).replace("...", "")


@pytest.mark.parametrize("name", ["drift.parquet", "drift.csv"])
def test_a_table_that_is_not_the_one_of_the_results_is_refused(copied, name):
    digests = {n: file_sha256(copied.with_name(n)) for n in ("drift.parquet", "drift.csv")}
    DriftResults.read(copied).model_copy(update={"table_sha256": digests}).write(copied)
    read_report_data(copied)
    if name == "drift.csv":
        copied.with_name("drift.parquet").unlink()
        read_report_data(copied)
    path = copied.with_name(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(
        DataError, match=rf"{name} is not the table that was written with the results.*repdrift analyze"
    ):
        read_report_data(copied)


def test_an_infinite_change_of_weights_is_no_fault_of_the_drift(copied):
    changed(value=lambda t: t.value.where(t.measure != WEIGHT_MEASURE, np.inf))(copied)
    assert read_report_data(copied).drift_measures == ["cka", "cka_biased", "cosine", "cosine_centered"]


def family(**fields):
    """Three tests by layer with these fields; what is not named is as in a file that lacks it."""
    absent = {"correction": None, "deciding_pvalue": None, "smallest_deciding_pvalue": None, "verdict": "undecided"}
    return [HypothesisTest.model_construct(layer=layer, **absent | fields) for layer in range(3)]


def test_what_decides_is_read_and_not_worked_out_again():
    tests = family(
        pvalue=0.1,
        deciding_pvalue=0.2,
        pvalue_holm=0.3,
        pvalue_max_t=0.25,
        correction="Holm",
        smallest_deciding_pvalue=0.07,
    )
    assert correction_of(tests) == "Holm"
    assert deciding_pvalue(tests[0]) == 0.2
    assert smallest_deciding_pvalue(tests) == 0.07
    assert smallest_deciding_pvalue([]) is correction_of([]) is None


@pytest.mark.parametrize(("correction", "field"), [("max-T", "pvalue_max_t"), ("Holm", "pvalue_holm")])
def test_results_older_than_these_fields_say_the_p_that_their_verdicts_rest_on(copied, correction, field):
    def as_before(content):
        for test in content["tests"]:
            for new in ("correction", "deciding_pvalue", "deciding_opposite_pvalue", "smallest_deciding_pvalue"):
                del test[new]
            if correction == "Holm":
                test["pvalue_holm"], test["pvalue_max_t"] = test["pvalue_max_t"], None

    edit_record(copied, as_before)
    data = read_report_data(copied)
    for table in layer_tables(data):
        assert (table.correction, table.smallest) == (correction, None)
        assert [row.corrected for row in table.rows] == [getattr(row.test, field) for row in table.rows]
    whole = data.test("comparison_drifts_less", "all")
    assert deciding_pvalue(whole) == whole.pvalue
    assert "in a layer" not in design(data, whole).text


def test_layers_are_those_with_the_verdict():
    tests = [*family(verdict="supported")[1:], *family()[:1]]
    assert layers_with(tests[::-1], "supported") == [1, 2]


def test_the_widest_claim_is_over_models_and_samples():
    both = report_data(Synthetic(tasks=("mrpc",), layers=1)).reduction("all")
    assert widest_claim(both).over == "models and samples"
    assert interval_over(both, "samples").over == "samples"
    alone = report_data(Synthetic(tasks=("mrpc",), layers=1, seeds=(1,))).reduction("all")
    assert widest_claim(alone).over == "samples"
    assert interval_over(alone, "models") is None
    assert interval_over(None, "models") is None


def test_a_table_without_sites_reads_as_one_of_the_residual_stream(copied):
    whole = read_report_data(copied)
    file = copied.with_name("drift.parquet")
    pd.read_parquet(file).drop(columns="site").to_parquet(file)
    older = read_report_data(copied)
    pd.testing.assert_frame_equal(older.table, whole.table)
    assert older.other_sites is not None
    assert older.other_sites.empty


def test_rows_of_other_sites_change_no_figure_by_layer(copied):
    whole = read_report_data(copied)
    file = copied.with_name("drift.parquet")
    table = pd.read_parquet(file)
    inside = table[table["drift"].notna()].assign(site="mlp_out", drift=0.9, layer=-1)
    inside = inside.drop_duplicates(["task", "method", "seed", "step", "measure"])
    pd.concat([table, inside], ignore_index=True).to_parquet(file)
    found = read_report_data(copied)
    pd.testing.assert_frame_equal(found.table, whole.table)
    assert found.layers == whole.layers
    assert set(found.other_sites["site"]) == {"mlp_out"}
