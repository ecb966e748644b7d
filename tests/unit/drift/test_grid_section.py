"""Layer grids of a study: every final model against its base model, the mean of each method, and a planted exchange of two layers."""

import numpy as np
import pandas as pd
import pytest

from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.drift import analyze
from repdrift.drift.layer_grid_records import BaseGrid, GridUnits
from repdrift.report.figures.layer_grid import describe, draw
from repdrift.report.report_data import ReportData


@pytest.fixture(scope="module")
def found(whole_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grids")
    results, table = analyze(whole_study.plan(sections=("grid",)), folder)
    return results, table, folder


def test_every_final_model_has_a_grid_in_the_table_and_a_mean_in_the_results(found):
    results, table, folder = found
    grid = results.moved.grid
    final = table[(table["step"] == 0) & (table["measure"] == "cka") & table["seed"].notna()]
    rows = pd.read_parquet(folder / "grid.parquet")
    own = rows[(rows["kind"] == "base_tuned") & (rows["layer_row"] == rows["layer_column"])]
    both = own.merge(
        final, left_on=["task", "method", "seed", "layer_row"], right_on=["task", "method", "seed", "layer"]
    )
    assert len(both) == len(own) > 0
    assert both["value_x"].to_numpy() == pytest.approx(both["value_y"].to_numpy(), abs=1e-7)
    for of in grid.methods:
        at = own[(own["task"] == of.task) & (own["method"] == of.method)].groupby("layer_row")["value"].mean()
        assert np.diag(np.array(of.base_tuned.values, dtype=float)) == pytest.approx(at.to_numpy())
        assert len(of.seeds) == (final[(final["task"] == of.task) & (final["method"] == of.method)]["seed"].nunique())
    assert DriftResults.read(folder / RESULTS_FILE).moved.grid == grid


def test_measures_that_a_study_names_have_grids_too_and_the_mean_stays_that_of_cka(whole_study, found, tmp_path):
    usual, _, folder = found
    assert set(pd.read_parquet(folder / "grid.parquet")["measure"]) == {"cka"}
    results, table = analyze(whole_study.plan(sections=("grid",), grid_measures=("cka", "cosine")), tmp_path)
    rows = pd.read_parquet(tmp_path / "grid.parquet")
    assert set(rows["measure"]) == {"cka", "cosine"}
    assert set(rows["kind"]) == {"base_tuned", "base_base", "tuned_tuned"}
    own = rows[
        (rows["measure"] == "cosine") & (rows["kind"] == "base_tuned") & (rows["layer_row"] == rows["layer_column"])
    ]
    final = table[(table["step"] == 0) & (table["measure"] == "cosine") & table["seed"].notna()]
    both = own.merge(
        final, left_on=["task", "method", "seed", "layer_row"], right_on=["task", "method", "seed", "layer"]
    )
    assert len(both) == len(own) > 0
    assert both["value_x"].to_numpy() == pytest.approx(both["value_y"].to_numpy(), abs=1e-6)
    assert results.moved.grid.methods == usual.moved.grid.methods


def test_summary_and_figure_tell_what_moved(found):
    results, table, folder = found
    assert "Layer by layer" in (folder / SUMMARY_FILE).read_text()
    data = ReportData(results, table, "drift.parquet")
    assert "Similarity with the base layer of the same number" in describe(data)
    assert len(draw(data).axes) > 2


def test_interval_leaves_out_whole_groups_and_needs_ten_of_them():
    groups = [str(i // 4) for i in range(80)]
    units = GridUnits.of(80, groups, "paragraph")
    assert units.said == "jackknife over 20 paragraphs"
    assert units.freedom == pytest.approx(19)
    assert sorted(np.bincount(units.parts)) == [4] * 20
    few = GridUnits.of(80, [str(i // 16) for i in range(80)], "paragraph")
    assert few.parts is None
    assert "5 paragraphs" in few.missing


def test_alike_samples_of_a_group_widen_what_cannot_be_told_apart():
    g = np.random.default_rng(0)
    centres = g.normal(size=(12, 30))
    x = np.repeat(centres, 10, axis=0) + 0.05 * g.normal(size=(120, 30))
    noise = [np.repeat(g.normal(size=(12, 30)), 10, axis=0) for _ in range(3)]
    base = {layer: x + 0.4 * noise[layer] for layer in range(2)}
    tuned = {0: x + 0.4 * noise[2], 1: x + 0.4 * noise[2] + 0.01 * g.normal(size=x.shape)}
    groups = [str(i // 10) for i in range(120)]
    whole = BaseGrid(base, GridUnits.of(120, groups, "group")).with_model(tuned)
    single = BaseGrid(base, GridUnits.of(120, None, "group")).with_model(tuned)

    def width(grid):
        return grid.of_tuned[0].ahead_high - grid.of_tuned[0].ahead_low

    assert width(whole) > 1.5 * width(single)
    assert whole.of_tuned[0].as_good == [0, 1]
