import importlib
import io
import json
from dataclasses import replace

import pandas as pd

from repdrift.core.records.results import DriftResults
from repdrift.report.page.study import study_page
from tests.unit.report.page.study.trained_study import trained_study


def files(data):
    return {each.file_name: each.content() for each in study_page(data).downloads}


def read(content):
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])


def test_the_table_is_given_at_full_precision_with_all_sites():
    data = trained_study()
    data.table["drift"] *= 1 / 3
    other = data.table[data.table["layer"] == 0].assign(site="attn_out")
    data = replace(data, other_sites=other)
    given = read(files(data)["drift.csv"])
    held = pd.concat([data.table, other], ignore_index=True)
    assert list(given.columns) == list(held.columns)
    assert (given["drift"] == held["drift"]).all()
    assert (given["site"] == held["site"]).all()


def test_the_results_read_back():
    data = trained_study()
    given = DriftResults.parse(files(data)["drift_analysis_results.json"], "the page")
    assert json.loads(given.model_dump_json()) == json.loads(data.results.model_dump_json())


def test_models_curves_and_methods_are_given_with_names_people_know():
    given = files(trained_study())
    runs = read(given["runs.csv"])
    assert {"task", "method", "seed", "mean drift", "learning rate", "training time, s"} <= set(runs.columns)
    curves = read(given["curves.csv"])
    assert list(curves.columns) == ["task", "arm", "seed", "step", "name", "value"]
    assert len(curves) == 3 * len(runs)
    assert given["methods.txt"].decode().strip() == study_page(trained_study()).methods_text


def test_no_file_is_given_twice_and_no_cell_is_run_by_a_spreadsheet():
    page = study_page(trained_study(tasks=("=1+1", "sst2")))
    names = [each.file_name for each in page.downloads]
    assert len(set(names)) == len(names)
    tables = [each.content() for each in page.downloads if each.file_name.endswith(".csv")]
    assert len(set(tables)) == len(tables)
    assert not any(b"\n=1+1" in content or b",=1+1" in content for content in tables)


def test_without_curves_there_is_no_file_of_them():
    assert "curves.csv" not in files(trained_study(only=lambda _: False))


def test_a_table_that_is_too_large_is_left_out_and_the_page_says_where_it_lies(monkeypatch):
    data = trained_study()
    assert "Not in this page" not in dict(study_page(data).provenance)
    module = importlib.import_module("repdrift.report.page.study.downloads")  # the package has a function of that name
    monkeypatch.setattr(module, "_MOST_ROWS", len(data.table) - 1)
    page = study_page(data)
    assert "drift.csv" not in {each.file_name for each in page.downloads}
    assert dict(page.provenance)["Not in this page"] == (
        f"drift.csv: it has {len(data.table)} rows, and lies beside drift_analysis_results.json"
    )
