"""`repdrift compare`: numbers against extraction and the float64 measures; what cannot be compared is said."""

import json
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

import repdrift
from repdrift.cli.main import app
from repdrift.core.errors import ConfigError, DataError, ModelError, UnknownNameError
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.extraction import extract
from repdrift.models import load_backbone, load_task_model, load_tokenizer, resolve_model, save_model
from repdrift.similarity import measure
from repdrift.study.compare import compare
from repdrift.tasks import build_sample_set, load_rows, spec_of_file


def _save_tuned(base, folder, *, noise=0.05, seed=0):
    source = resolve_model(str(base))
    model = load_task_model(source, "classification", num_labels=2)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "layer" in name and parameter.dim() == 2:
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    save_model(model, load_tokenizer(source), folder)
    return folder


def _save_adapter(base, folder, *, std=0.5, seed=0, **config):
    source = resolve_model(str(base))
    torch.manual_seed(seed)
    model = get_peft_model(
        load_task_model(source, "classification", num_labels=2), LoraConfig(task_type="SEQ_CLS", r=2, **config)
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name and std:
            torch.nn.init.normal_(parameter, std=std)
        if name.endswith("bias") and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    save_model(model, load_tokenizer(source), folder)
    return folder


@pytest.fixture(scope="module")
def models(tiny_bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return {
        "base": tiny_bert,
        "full": _save_tuned(tiny_bert, folder / "full"),
        "a": _save_adapter(tiny_bert, folder / "a"),
        "b": _save_adapter(tiny_bert, folder / "b", seed=1),
        "zero": _save_adapter(tiny_bert, folder / "zero", std=0.0),
        "biased": _save_adapter(tiny_bert, folder / "biased", bias="all"),
    }


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    from tests.conftest import _sentence

    path = tmp_path_factory.mktemp("texts") / "lines.txt"
    path.write_text("".join(_sentence(i, 3 + i % 9) + "\n" for i in range(40)), encoding="utf-8")
    return path


def _samples(base, texts):
    spec = spec_of_file(texts)
    rows = load_rows(spec, "validation", labelled=False)
    return build_sample_set(spec, rows.rows, load_tokenizer(resolve_model(str(base))), max_length=64)


def _run(models, names, texts, **options):
    return compare(str(models["base"]), [str(models[name]) for name in names], data=str(texts), **options)


def test_pooled_drift_is_that_of_extraction_and_the_float64_measure(models, texts):
    result = _run(models, ["full", "a"], texts, token_budget=60)
    samples = _samples(models["base"], texts)
    base = extract(load_backbone(resolve_model(str(models["base"]))), samples)
    tuned = extract(load_backbone(resolve_model(str(models["full"]))), samples)
    assert result.accumulated == "rows"
    for at in result.models[0].layers:
        x, y = base[f"layer_{at.layer}"], tuned[f"layer_{at.layer}"]
        assert at.drift == pytest.approx(1 - measure("cka")(x, y), abs=1e-6)
        assert at.drift_low < at.drift < at.drift_high
        for name in ("cka_biased", "cosine", "cosine_centered"):
            assert at.values[name] == pytest.approx(measure(name)(x, y), abs=1e-6)
        assert at.above_noise
        assert 0.5 < at.mispaired_drift < 1.3
        assert at.weights["weight_relative_change"] > 0
    assert [m.status for m in result.models] == ["compared", "compared"]
    assert result.models[1].weights == "the base model's, in memory once"
    assert set(result.models[1].layers[0].weights) >= {"lora_effective_rank", "lora_rank_utilisation"}


@pytest.mark.parametrize("pooling", ["tokens", "mean"])
def test_streamed_moments_give_what_the_rows_give(models, texts, pooling):
    streamed = _run(models, ["full", "a", "b"], texts, pooling=pooling, accumulate="moments", token_budget=60)
    samples = _samples(models["base"], texts)
    base = extract(load_backbone(resolve_model(str(models["base"]))), samples, pooling=pooling)
    tuned = extract(load_backbone(resolve_model(str(models["full"]))), samples, pooling=pooling)
    assert streamed.accumulated == "moments"
    for at in streamed.models[0].layers:
        x, y = base[f"layer_{at.layer}"], tuned[f"layer_{at.layer}"]
        assert at.rows == x.shape[0]
        assert at.drift == pytest.approx(1 - measure("cka")(x, y), abs=1e-5)
        assert at.values["cosine"] == pytest.approx(measure("cosine")(x, y), abs=1e-5)
        assert at.values["cosine_centered"] is None
        assert at.drift_low is None
    rows = _run(models, ["a", "b"], texts, accumulate="rows", token_budget=60)
    if pooling == "mean":
        for one, other in zip(streamed.models[1].layers, rows.models[0].layers, strict=True):
            assert one.drift == pytest.approx(other.drift, abs=1e-5)
            assert one.random_change_drift == pytest.approx(other.random_change_drift, rel=1e-3)
        between = {(b.first, b.second, b.layer): b.drift for b in streamed.between}
        assert between == {key: pytest.approx(v, abs=1e-5) for key, v in
                           {(b.first, b.second, b.layer): b.drift for b in rows.between}.items()}  # fmt: skip


def test_random_change_has_the_size_of_the_real_one(models, texts, tiny_bert):
    """The full model here *is* a random change: so the control drifts about as much."""
    result = _run(models, ["full"], texts)
    for at in result.models[0].layers:
        assert 0.3 < at.random_change_drift / at.drift < 3


def test_adapter_that_trained_biases_is_run_on_its_own_weights(models, texts):
    result = _run(models, ["biased", "a"], texts)
    assert result.models[0].weights.startswith("its own copy: it trained biases")
    alone = _run(models, ["a"], texts)
    assert [at.drift for at in alone.models[0].layers] == [at.drift for at in result.models[1].layers]


def test_adapter_that_changes_nothing_is_said_with_the_cause(models, texts):
    result = _run(models, ["zero"], texts)
    assert [at.drift for at in result.models[0].layers] == pytest.approx([0] * 3, abs=1e-12)
    assert any("zero changes nothing" in w and "B is zero" in w for w in result.warnings)


def test_same_weights_twice_are_named(models, texts, tmp_path):
    shutil.copytree(models["full"], tmp_path / "copy")
    result = compare(str(models["base"]), [str(models["full"]), str(tmp_path / "copy")], data=str(texts))
    assert any("have the same weights" in w for w in result.warnings)


def test_what_cannot_be_compared_is_explained_and_the_rest_is_compared(models, texts, tiny_llama, tmp_path):
    from transformers import BertConfig, BertModel

    deep = tmp_path / "deep"
    config = BertConfig.from_pretrained(models["base"])
    config.num_hidden_layers = 5
    BertModel(config).save_pretrained(deep)
    _save_tuned(models["base"], tmp_path / "other_words")
    tokenizer = json.loads((tmp_path / "other_words/tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["the"], tokenizer["model"]["vocab"]["a"] = 5, 4
    (tmp_path / "other_words/tokenizer.json").write_text(json.dumps(tokenizer))
    llama_adapter = _save_adapter(tiny_llama, tmp_path / "llama_adapter")
    refs = [str(p) for p in (deep, tmp_path / "other_words", llama_adapter, models["full"])]
    result = compare(str(models["base"]), refs, data=str(texts))
    assert [m.status for m in result.models] == ["not comparable"] * 3 + ["compared"]
    assert "5 layers, the base model 3" in result.models[0].reason
    assert "another tokenizer" in result.models[1].reason
    assert "tokenizer" in result.models[2].reason or "does not fit" in result.models[2].reason
    with pytest.raises(ModelError, match=r"(?s)none of the models can be compared.*5 layers"):
        compare(str(models["base"]), [str(deep)], data=str(texts))


def test_adapter_of_another_model_is_refused_by_itself(models, texts, tiny_llama, tmp_path):
    adapter = _save_adapter(tiny_llama, tmp_path / "llama_adapter")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (adapter / name).unlink()
    result = compare(str(models["base"]), [str(adapter), str(models["a"])], data=str(texts))
    assert result.models[0].status == "not comparable"
    assert "does not fit" in result.models[0].reason
    assert result.models[1].status == "compared"


def test_command_writes_json_table_summary_and_figures(models, texts, tmp_path):
    arguments = ["compare", str(models["base"]), str(models["full"]), str(models["a"]), "--data", str(texts)]
    found = CliRunner().invoke(app, [*arguments, "--output-dir", str(tmp_path / "out")], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert "drift from" in found.output
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"comparison.json", "comparison.md", "drift.csv", "drift_by_layer.png", "drift_by_layer.pdf"}
    result = Comparison.read(tmp_path / "out" / COMPARISON_FILE)
    import pandas as pd

    table = pd.read_csv(tmp_path / "out/drift.csv")
    cka = table[(table["measure"] == "cka") & (table["method"] == "full")]
    assert np.allclose(cka["drift"], [at.drift for at in result.models[0].layers])
    printed = CliRunner().invoke(app, [*arguments, "--json", "--output-dir", str(tmp_path / "more")])
    assert json.loads(printed.stdout)["models"][0]["name"] == "full"


def test_exit_code_tells_that_a_model_was_not_compared(models, texts, tmp_path, tiny_llama):
    arguments = ["compare", str(models["base"]), str(models["full"]), str(tiny_llama), "--data", str(texts)]
    found = CliRunner().invoke(app, [*arguments, "--output-dir", str(tmp_path)])
    assert found.exit_code == 1
    assert "not compared: " in found.output


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"pooling": "maen"}, ConfigError, "pooling"),
        ({"poolign": "mean"}, ConfigError, "poolign"),
        ({"measures": ("ckaa",)}, ConfigError, "Did you mean 'cka'"),
        ({"layers": (7,)}, UnknownNameError, r"layer 7 not in BertModel \(3 layers, 0 to 2\)"),
        ({"samples": 3}, DataError, "at least 4"),
        ({"data": "nowhere.csv"}, DataError, "does not exist"),
        ({"data": "sst22"}, UnknownNameError, "Did you mean 'sst2'"),
        ({"max_length": 999}, DataError, "more than the model's maximum of 64"),
    ],
)
def test_bad_options_are_one_readable_message(models, texts, change, error, message):
    options = {"data": str(texts), **change}
    with pytest.raises(error, match=message):
        compare(str(models["base"]), [str(models["full"])], **options)


def test_adapter_as_base_is_refused(models, texts):
    with pytest.raises(ModelError, match="is a PEFT adapter: the first model must be a full one"):
        compare(str(models["a"]), [str(models["full"])], data=str(texts))


def test_package_offers_compare():
    assert repdrift.compare is compare


def test_text_columns_are_found_or_asked_for(tmp_path):
    path = tmp_path / "my data.csv"
    path.write_text("id,question,context\n1,a ?,b\n", encoding="utf-8")
    assert spec_of_file(path).text_columns == ("question", "context")
    assert spec_of_file(path).name == "my_data"
    path.write_text("one,two\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"which column holds the text\? It has one, two"):
        spec_of_file(path)
    assert spec_of_file(path, text_columns=["two"]).text_columns == ("two",)
    with pytest.raises(UnknownNameError, match="three"):
        spec_of_file(path, text_columns=["three"])
