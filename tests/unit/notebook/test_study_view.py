"""Studies in a notebook: the card says what the page says, tables are those of the analysis, figures those of `visualize`."""

import pandas as pd
import pytest

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.core.records.results import DRIFT_COLUMNS
from repdrift.core.study_headline import headline
from repdrift.notebook.loading import load_results
from tests.unit.report.synthetic_results import Synthetic, write_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return load_results(write_results(tmp_path_factory.mktemp("study"), Synthetic(name="<i>mine</i>")))


def test_card_says_what_the_page_says_first(results):
    card = results._repr_html_()
    assert "&lt;i&gt;mine&lt;/i&gt;" in card
    assert headline(results.record, results.data.table).partition(";")[0].replace("&", "&amp;") in card
    for caution in results.record.warnings:
        assert caution.split("`")[0][:40] in card


def test_card_of_the_record_alone_has_verdict_and_reductions(results):
    card = results.record._repr_html_()
    less = [
        t
        for t in results.record.tests
        if t.hypothesis == "comparison_drifts_less" and t.task == "all" and t.layer is None
    ]
    assert f"[{less[0].verdict}]" in card
    assert card.count("<tr>") == 1 + sum(r.layer is None for r in results.record.reductions)


def test_tables_are_those_of_record_and_files(results):
    assert list(results.table.columns) == list(DRIFT_COLUMNS)
    assert results.to_pandas().equals(results.table)
    runs = results.to_pandas("runs")
    assert len(runs) == len(results.record.runs)
    reductions = results.to_pandas("reductions")
    assert len(reductions) == len(results.record.reductions)
    assert "models_low" in reductions.columns
    assert str(reductions["layer"].dtype) == "Int64"
    assert set(results.to_pandas("tests")["verdict"]) == {test.verdict for test in results.record.tests}
    with pytest.raises(UnknownNameError, match="Known: drift, runs, reductions, tests"):
        results.to_pandas("drifts_of_all")


def test_tables_of_a_study_without_a_comparison_have_their_columns(tmp_path):
    alone = load_results(
        write_results(tmp_path, Synthetic(tasks=("sst2",), methods=("lora",), seeds=(1,), layers=2, inference=False))
    )
    for name in ("reductions", "tests"):
        table = alone.to_pandas(name)
        assert table.empty
        assert {"task", "site", "layer"} <= set(table.columns)
    assert "No methods were compared." in alone.record._repr_html_()


def test_sites_are_not_mixed_into_the_card(results):
    inside = [r.model_copy(update={"site": "mlp_out"}) for r in results.record.reductions if r.layer is None]
    both = results.record.model_copy(update={"reductions": [*results.record.reductions, *inside]})
    assert both._repr_html_() == results.record._repr_html_()


def test_a_changed_table_is_not_read(results, tmp_path):
    from dataclasses import replace

    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "outcomes.parquet")
    record = results.record.model_copy(
        update={"table_sha256": {"outcomes.parquet": "0" * 64, "weights.parquet": "0" * 64}}
    )
    other = replace(results, data=replace(results.data, results=record), folder=tmp_path)
    with pytest.raises(DataError, match="is not the table that was written with the results"):
        other.to_pandas("outcomes")
    with pytest.raises(DataError, match="is not there"):
        other.to_pandas("weights")


def test_figures_are_those_of_visualize_with_their_words(results):
    assert "drift_by_layer" in results.figure_names
    figure = results.plot("drift_by_layer")
    png, metadata = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert metadata["alt"] == figure.words.description != ""
    assert figure.words.caption
    with pytest.raises(UnknownNameError, match="unknown figure 'drift'"):
        results.plot("drift")
    absent = next(name for name in ("patching", "likeness", "layer_grid") if name not in results.figure_names)
    with pytest.raises((DataError, UnknownNameError)):
        results.plot(absent)
