"""Layer grids of a comparison: in the record, the table and the words, and without a claim where nothing stands elsewhere."""

import numpy as np
import pandas as pd
import pytest

from repdrift.comparison.comparing import write_outputs
from repdrift.comparison.sections.grid import grid_table
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from tests.unit.comparison.tiny_comparisons import run


@pytest.fixture(scope="module")
def found(models, texts):
    return run(models, ["full", "a"], texts, controls=False, outputs=False, sections=("grid",))


def test_every_layer_is_compared_with_every_layer(found):
    for model in found.models:
        grid = model.moved.grid
        by_kind = {matrix.kind: np.array(matrix.values) for matrix in grid.matrices}
        assert set(by_kind) == {"base_tuned", "base_base", "tuned_tuned"}
        drifts = [at.drift for at in model.layers]
        assert np.diag(by_kind["base_tuned"]) == pytest.approx(1 - np.array(drifts), abs=1e-7)
        assert (np.diag(by_kind["base_base"]) == 1).all()
        assert [at.layer for at in grid.of_tuned] == [at.layer for at in model.layers]
        assert grid.no_interval is None


def test_files_hold_the_table_the_figure_and_the_words(found, tmp_path):
    write_outputs(found, tmp_path)
    table = pd.read_parquet(tmp_path / "grid.parquet")
    layers = len(found.models[0].layers)
    assert len(table) == 2 * 3 * layers**2
    assert list(table.columns) == ["model", "kind", "measure", "layer_row", "layer_column", "value"]
    assert Comparison.read(tmp_path / COMPARISON_FILE).models[0].moved.grid == found.models[0].moved.grid
    assert (tmp_path / "layer_grid.png").stat().st_size > 1000
    assert "### Layer by layer" in (tmp_path / "comparison.md").read_text()


def test_identical_model_is_exactly_one_on_the_diagonal_and_nothing_is_claimed(models, texts):
    grid = (
        run({**models, "same": models["base"]}, ["same"], texts, controls=False, outputs=False, sections=("grid",))
        .models[0]
        .moved.grid
    )
    assert [at.value for at in grid.of_tuned] == [1.0] * len(grid.of_tuned)
    assert all(at.moved is None and at.best == at.layer for at in grid.of_tuned)


def test_other_measures_are_there_where_the_user_names_them(models, texts):
    result = run(
        models, ["full"], texts, controls=False, outputs=False, sections=("grid",), measures=("procrustes", "cka_rbf")
    )
    grid = result.models[0].moved.grid
    assert {m.measure for m in grid.matrices} == {"cka", "procrustes", "cka_rbf"}
    from repdrift.similarity import measure

    at = next(m for m in grid.matrices if (m.measure, m.kind) == ("cka_rbf", "base_tuned"))
    own = [layer.values["cka_rbf"] for layer in result.models[0].layers]
    assert np.diag(np.array(at.values)) == pytest.approx(own, abs=1e-9)
    assert measure("procrustes").self_value == pytest.approx(
        next(m for m in grid.matrices if (m.measure, m.kind) == ("procrustes", "base_base")).values[0][0], abs=1e-6
    )


def test_one_layer_few_samples_and_sums_say_what_is_missing(models, texts):
    common = {"controls": False, "outputs": False, "sections": ("grid",)}
    one = run(models, ["full"], texts, layers=(1,), **common).models[0].moved.grid
    assert [(at.layer, at.best, at.ahead) for at in one.of_tuned] == [(1, 1, None)]
    few = run(models, ["full"], texts, samples=5, **common).models[0].moved.grid
    assert "there are 5 texts" in few.no_interval
    assert all(len(at.as_good) == len(few.of_base) for at in few.of_tuned)
    sums = run(models, ["full"], texts, accumulate="moments", **common)
    assert "--accumulate rows" in sums.moved.left_out["grid"]
    tokens = run(models, ["full"], texts, pooling="tokens", accumulate="rows", **common).models[0].moved.grid
    assert tokens.row_is == "token"
    assert "text" in tokens.interval


def test_table_of_missing_values_is_of_numbers(found):
    grid = found.models[0].moved.grid
    matrix = grid.matrices[0].model_copy(update={"values": [[None for _ in row] for row in grid.matrices[0].values]})
    moved = found.models[0].moved.model_copy(update={"grid": grid.model_copy(update={"matrices": [matrix]})})
    without = found.model_copy(update={"models": [found.models[0].model_copy(update={"moved": moved})]})
    assert grid_table(without)["value"].dtype == "float64"
    assert grid_table(without)["value"].isna().all()
