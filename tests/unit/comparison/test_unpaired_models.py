"""Models of another depth, and models that are not related: the layer grid alone compares them, and every output says so."""

import json
import shutil

import pandas as pd
import pytest
import torch

from repdrift.comparison import compare
from repdrift.comparison.comparing import write_outputs
from repdrift.core.errors import ModelError
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from tests.command_line import run_here
from tests.tiny_models import save_bert, save_tuned, write_sentences

DEPTH = 5
OPTIONS = {"controls": False, "outputs": False, "sections": ("grid",)}


def _llama(folder, blocks, like):
    """Save a Llama whose blocks are those of `like` with these numbers; None is a block that adds nothing."""
    from transformers import LlamaModel

    source = LlamaModel.from_pretrained(like)
    config = source.config
    config.num_hidden_layers = len(blocks)
    model = LlamaModel(config)
    model.embed_tokens.load_state_dict(source.embed_tokens.state_dict())
    model.norm.load_state_dict(source.norm.state_dict())
    for block, number in zip(model.layers, blocks, strict=True):
        block.load_state_dict(source.layers[number or 0].state_dict())
        if number is None:
            torch.nn.init.zeros_(block.self_attn.o_proj.weight)
            torch.nn.init.zeros_(block.mlp.down_proj.weight)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(like / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def family(tiny_llama, tmp_path_factory):
    """A Llama of five strong blocks; one with a block that adds nothing put in, one with a block taken out, one with two exchanged."""
    from transformers import LlamaConfig, LlamaModel

    folder = tmp_path_factory.mktemp("family")
    config = LlamaConfig.from_pretrained(tiny_llama, num_hidden_layers=DEPTH, initializer_range=0.6)
    torch.manual_seed(0)
    base = folder / "base"
    LlamaModel(config).save_pretrained(base)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_llama / name, base / name)
    return {
        "base": base,
        "longer": _llama(folder / "longer", [0, 1, None, 2, 3, 4], base),
        "tuned": save_tuned(base, folder / "tuned"),
        "texts": write_sentences(folder / "texts.txt", 60),
    }


@pytest.fixture(scope="module")
def found(family):
    tuned = [str(family[name]) for name in ("longer", "tuned")]
    return compare(str(family["base"]), tuned, data=str(family["texts"]), **OPTIONS)


def test_block_put_in_is_found_as_content_that_moved_up(found):
    longer, tuned = found.models
    assert (longer.status, tuned.status) == ("compared by grid", "compared")
    assert "6 layers, the base model 5" in longer.reason
    assert longer.layers == []
    assert longer.mean_drift is None
    grid = longer.moved.grid
    assert [at.best for at in grid.of_tuned] == [0, 1, 1, 2, 3, 4]
    assert [at.value for at in grid.of_tuned] == pytest.approx([1] * 6, abs=1e-9)
    assert {at.layer for at in grid.of_tuned if at.moved == "up"} == {2, 3, 4}
    assert not any(at.moved == "down" for at in grid.of_tuned)
    assert grid.of_base[1].as_good == [1, 2]
    assert all(at.moved is None for at in tuned.moved.grid.of_tuned)


def test_block_taken_out_is_found_as_content_that_moved_down(family):
    result = compare(str(family["longer"]), [str(family["base"])], data=str(family["texts"]), **OPTIONS)
    grid = result.models[0].moved.grid
    assert {at.layer: at.best for at in grid.of_tuned if at.moved == "down"} == {2: 3, 3: 4, 4: 5}
    assert not any(at.moved == "up" for at in grid.of_tuned)
    assert grid.of_tuned[1].as_good == [1, 2]


def test_every_output_says_that_there_is_no_drift_by_layer(found, tmp_path):
    write_outputs(found, tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert "**longer**: no drift by layer, compared by the layer grid alone: it has 6 layers" in text
    assert "Content moved up: tuned layers 2 to 4 hold what base layers 1 to 3 held (similarity 1.00;" in text.replace(
        "\\", ""
    )
    assert Comparison.read(tmp_path / COMPARISON_FILE).by_grid[0].name == "longer"
    assert set(pd.read_csv(tmp_path / "drift.csv")["method"]) == {"tuned"}
    assert set(pd.read_parquet(tmp_path / "grid.parquet")["model"]) == {"longer", "tuned"}
    assert any(w.startswith("longer has no drift by layer") for w in found.warnings)


def test_command_ends_with_3_and_says_so_first(family, tmp_path):
    command = f"python -m repdrift compare {family['base']} {family['longer']} --data {family['texts']} --no-controls --no-outputs"
    done = run_here(f"{command} --with grid --output-dir out", tmp_path, fails=True)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("longer against ")
    headline = " ".join(done.stdout.partition("\n\n")[0].split())
    assert "no drift by layer, compared by the layer grid alone." in headline
    summary = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "- **longer**: no drift by layer, compared by the layer grid alone" in summary
    assert (tmp_path / "out" / "layer_grid.png").is_file()
    assert not (tmp_path / "out" / "drift_by_layer.png").exists()
    done = run_here(f"{command} --with grid --json --output-dir out", tmp_path, fails=True)
    assert json.loads(done.stdout)["models"][0]["mean_drift"] is None
    done = run_here(f"{command} --with none --output-dir none", tmp_path, fails=True)
    assert done.returncode == 1
    assert "--with grid compares every layer" in done.stderr
    assert not (tmp_path / "none").exists()


def test_sums_alone_refuse_another_depth(family):
    with pytest.raises(ModelError, match=r"(?s)6 layers.*--accumulate rows"):
        compare(
            str(family["base"]), [str(family["longer"])], data=str(family["texts"]), **OPTIONS, accumulate="moments"
        )


def test_controls_outputs_and_patching_go_on_for_the_others(family):
    options = {"sections": ("grid",), "patch": True, "patch_samples": 8}
    tuned = [str(family[name]) for name in ("longer", "tuned")]
    result = compare(str(family["base"]), tuned, data=str(family["texts"]), **options)
    assert [m.status for m in result.models] == ["compared by grid", "compared"]
    assert result.models[1].layers[0].random_change_drift is not None


def test_layers_that_were_asked_for_are_those_that_both_have(family):
    result = compare(str(family["base"]), [str(family["longer"])], data=str(family["texts"]), **OPTIONS, layers=(1, 4))
    assert [at.layer for at in result.models[0].moved.grid.of_tuned] == [1, 4]
    shorter = compare(str(family["longer"]), [str(family["base"])], data=str(family["texts"]), **OPTIONS, layers=(1, 5))
    assert [at.layer for at in shorter.models[0].moved.grid.of_tuned] == [1]
    with pytest.raises(ModelError, match=r"none of the layers that were asked for \(5\): it has 5, 0 to 4"):
        compare(str(family["longer"]), [str(family["base"])], data=str(family["texts"]), **OPTIONS, layers=(5,))


def test_another_width_of_one_depth_has_drift_and_no_measure_that_needs_equal_widths(tiny_bert, texts, tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(tiny_bert, hidden_size=24)
    BertModel(config).save_pretrained(tmp_path / "wide")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_bert / name, tmp_path / "wide" / name)
    result = compare(
        str(tiny_bert), [str(tmp_path / "wide")], data=str(texts), **OPTIONS, measures=("procrustes", "cosine")
    )
    (model,) = result.models
    assert model.status == "compared"
    assert "24 features wide" in model.notes[0]
    assert model.layers[0].values["cosine"] is None
    assert any(
        "cosine takes equal numbers of features, and there are 16 and 24" in note for note in model.moved.grid.notes
    )


def test_unrelated_model_with_the_same_tokens_is_compared_by_the_grid_without_moves(tiny_bert, texts, tmp_path):
    from transformers import ElectraConfig, ElectraModel

    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=60, embedding_size=12, hidden_size=12, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, initializer_range=0.3,
    )  # fmt: skip
    ElectraModel(config).save_pretrained(tmp_path / "electra")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_bert / name, tmp_path / "electra" / name)
    (model,) = compare(str(tiny_bert), [str(tmp_path / "electra")], data=str(texts), **OPTIONS).models
    assert model.status == "compared by grid"
    assert "'electra'" in model.reason
    assert model.moved.grid.by_number is False
    assert all(at.moved is None for at in model.moved.grid.of_tuned)


def test_twins_of_another_depth_are_no_bother(tiny_bert, texts, tmp_path):
    """Two seeds of one architecture: layers of one number are not alike, and the grid says that nothing is told apart or what is."""
    other = save_bert(tmp_path / "other", seed=5)
    (model,) = compare(str(tiny_bert), [str(other)], data=str(texts), **OPTIONS).models
    assert model.status == "compared"
    assert model.moved.grid is not None
