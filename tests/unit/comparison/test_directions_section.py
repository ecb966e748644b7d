"""Directions through `compare`: every model, beside its random change, in record, words and tables; and what is left out, with the reason."""

import pandas as pd
import pytest

from repdrift.comparison.comparing import write_outputs
from repdrift.comparison.sections.directions import row_groups
from tests.tiny_models import save_language_model, save_tuned
from tests.unit.comparison.tiny_comparisons import run, samples_of


@pytest.fixture(scope="module")
def compared(models, texts):
    return run(models, ["full", "zero"], texts, outputs=False, sections=("directions",))


def test_model_is_measured_beside_its_random_change_over_the_same_rows(compared):
    full, zero = (model.moved.directions for model in compared.models)
    assert [at.layer for at in full.layers] == [0, 1, 2]
    for at in full.layers:
        assert sum(share.share for share in at.shares) == pytest.approx(1)
        assert at.beside_random.rows == compared.control_samples == 32
        assert at.beside_random.random_shift_share != at.beside_random.own_shift_share
        assert at.shift_low < at.shift_size < at.shift_high
    assert full.tokens_missing is not None
    assert all(at.missing == ["The representations did not move, so that there is no direction."] for at in zero.layers)


def test_tables_and_words_are_written(compared, tmp_path):
    write_outputs(compared, tmp_path)
    table = pd.read_parquet(tmp_path / "directions.parquet")
    assert list(table["model"].unique()) == [model.name for model in compared.models]
    text = (tmp_path / "comparison.md").read_text()
    assert "### In which directions it moved" in text
    assert "#### Beside a random change of the weights of the same size" in text
    assert "no language-modelling head in its files" in text


def test_language_model_has_tokens_read_by_the_base_models_head(texts, tmp_path):
    base = save_language_model(tmp_path / "lm")
    models = {"base": base, "tuned": save_tuned(base, tmp_path / "tuned")}
    result = run(models, ["tuned"], texts, outputs=False, controls=False, sections=("directions",))
    found = result.models[0].moved.directions
    assert found.tokens_missing is None
    assert all(len(at.tokens.top) == 10 for at in found.layers)
    assert all(at.tokens.agreement > 0.5 for at in found.layers)
    assert found.layers[0].beside_random is None
    write_outputs(result, tmp_path / "out")
    assert len(pd.read_parquet(tmp_path / "out" / "direction_tokens.parquet")) == 3 * 20


def test_sums_alone_have_no_directions_and_say_how_to_get_them(models, texts):
    result = run(models, ["full"], texts, outputs=False, controls=False, accumulate="moments", sections=("directions",))
    assert "--accumulate rows" in result.moved.left_out["directions"]


def test_tokens_of_one_sample_belong_together(models, texts):
    samples = samples_of(models["base"], texts)
    groups, unit = row_groups(samples, per_token=True)
    assert unit == "sample"
    assert len(groups) == sum(samples.pooled_lengths)
    assert len(set(groups)) == len(samples)
    assert row_groups(samples, per_token=False) == (None, samples.group_unit)
