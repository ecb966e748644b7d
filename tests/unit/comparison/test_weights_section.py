"""Planted changes of the weights in a comparison: named in words, tables and figure, and no others."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.comparison.comparing import write_outputs
from repdrift.comparison.what_moved import model_sections
from tests.tiny_models import save_adapter, save_bert, write_sentences
from tests.unit.comparison.tiny_comparisons import run

EDITED = "encoder.layer.1.output.dense.weight"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A base model, a copy with a rank-1 edit in one matrix, an unchanged copy, one with NaN, and an adapter on two kinds."""
    folder = tmp_path_factory.mktemp("planted")
    base = save_bert(folder / "base")
    tensors = load_file(base / "model.safetensors")
    edit = 3.0 * torch.outer(torch.linspace(-1, 1, 16), torch.linspace(1, 2, 32))
    nan = torch.full((16, 32), float("nan"))
    for name, change in (("edited", edit), ("same", 0 * edit), ("broken", nan)):
        copied = save_bert(folder / name)
        save_file({**tensors, EDITED: tensors[EDITED] + change}, copied / "model.safetensors", {"format": "pt"})
    save_adapter(base, folder / "adapter", target_modules=["query", "value"])
    write_sentences(folder / "texts.txt", 30)
    return {"base": base, **{name: folder / name for name in ("edited", "same", "broken", "adapter")}}, (
        folder / "texts.txt"
    )


@pytest.fixture(scope="module")
def result(planted):
    models, texts = planted
    return run(models, ["edited", "same", "adapter"], texts, controls=False, outputs=False, sections=("weights",))


def words(result, name):
    model = next(model for model in result.models if model.name == name)
    (section,) = model_sections(result, model)
    return section


def test_rank_one_edit_is_named_in_the_first_sentence(result):
    section = words(result, "edited")
    assert section.answer[0].startswith(
        "One weight of 55 that were compared changed: down of layer 1 (output.dense.weight), by "
    )
    assert section.answer[1] == "1 direction of 16 carries 90 % of its change."
    by_kind, by_layer = section.tables
    assert [row[0] for row in by_kind.rows] == ["down"]
    assert [row[0] for row in by_layer.rows] == ["1"]


def test_unchanged_model_says_so_and_has_no_tables(result):
    section = words(result, "same")
    assert section.answer == ["No weight changed: all 55 that were compared are those of the base model."]
    assert not section.tables


def test_adapter_changes_its_kinds_alone(result):
    section = words(result, "adapter")
    assert {row[0] for row in section.tables[0].rows} == {"query", "value"}
    assert "In the median matrix " in " ".join(section.answer)


def test_table_has_a_row_for_each_matrix_and_model_and_the_options(result, tmp_path):
    written = write_outputs(result, tmp_path)
    assert {path.name for path in written} >= {"weights.parquet", "weight_changes.png", "weight_changes.pdf"}
    table = pd.read_parquet(tmp_path / "weights.parquet")
    assert list(table["model"].unique()) == ["edited", "same", "adapter"]
    assert len(table) == 55 + 55 + 6
    assert not table.duplicated(["model", "layer", "module"]).any()
    assert set(table["leading"]) == {10}
    assert set(table["intruder_cosine"]) == {0.5}
    changed = table[(table["model"] == "edited") & (table["change_norm"] > 0)]
    assert changed[["layer", "module", "kind", "rank_90", "outputs", "inputs"]].to_numpy().tolist() == [
        [1, "output.dense.weight", "down", 1, 16, 32]
    ]
    assert table[table["kind"] == "norm"]["rank_90"].isna().all()


def test_model_with_nan_is_left_out_with_the_weight_named(planted):
    models, texts = planted
    found = run(models, ["edited", "broken"], texts, controls=False, outputs=False, sections=("weights",))
    broken = next(model for model in found.models if model.name == "broken")
    assert broken.status == "not comparable" or "layer 1, output.dense.weight" in broken.moved.left_out["weights"]


def test_number_of_leading_directions_and_the_limit_of_intruders_are_settings(planted, result):
    models, texts = planted
    found = run(
        models, ["edited"], texts, controls=False, outputs=False, sections=("weights",), intruder_directions=3, intruder_cosine=0.95,
    )  # fmt: skip
    one, other = (r.models[0].moved.weights for r in (found, result))
    assert (one.leading, one.intruder_cosine, other.leading, other.intruder_cosine) == (3, 0.95, 10, 0.5)
    at, usual = (next(w for w in of.weights if w.change_norm > 0) for of in (one, other))
    base, tuned = (load_file(models[n] / "model.safetensors")[EDITED].double() for n in ("base", "edited"))
    left, right = (torch.linalg.svd(m)[0] for m in (base, tuned))
    nearest = (right.T @ left).abs().amax(dim=1)
    assert at.intruders == int((nearest[:3] < 0.95).sum()) > 0
    assert usual.intruders == int((nearest[:10] < 0.5).sum())
    text = str(model_sections(found, found.models[0]))
    assert "0.95" in text
