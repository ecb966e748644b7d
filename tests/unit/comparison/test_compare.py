"""`repdrift compare`: numbers against extraction and the float64 measures; what cannot be compared is said."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import repdrift
from repdrift.cli.main import app, main
from repdrift.comparison import base_model, inputs, weight_changes
from repdrift.comparison.comparing import compare
from repdrift.core.errors import ConfigError, DataError, ModelError, StorageError, UnknownNameError
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.core.words import number
from repdrift.extraction import extract
from repdrift.models import load_backbone, load_tokenizer, resolve_model, save_model
from repdrift.similarity import measure
from tests.tiny_models import save_adapter, save_tuned
from tests.unit.comparison.tiny_comparisons import run, samples_of


def test_pooled_drift_is_that_of_extraction_and_the_float64_measure(models, texts):
    result = run(models, ["full", "a"], texts, token_budget=60)
    samples = samples_of(models["base"], texts)
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
    assert [list(m.settings) for m in result.models] == [["config.json"], ["adapter_config.json"]]
    assert {"config.json", "tokenizer.json"} <= set(result.base_settings)
    assert result.models[1].weights == "the base model's, in memory once"
    assert set(result.models[1].layers[0].weights) >= {"lora_effective_rank", "lora_rank_utilisation"}


@pytest.mark.parametrize("pooling", ["tokens", "mean"])
def test_streamed_moments_give_what_the_rows_give(models, texts, pooling):
    streamed = run(
        models, ["full", "a", "b"], texts, pooling=pooling, accumulate="moments", token_budget=60, control_samples=40
    )
    samples = samples_of(models["base"], texts)
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
    rows = run(models, ["a", "b"], texts, accumulate="rows", token_budget=60, control_samples=40)
    if pooling == "mean":
        for one, other in zip(streamed.models[1].layers, rows.models[0].layers, strict=True):
            assert one.drift == pytest.approx(other.drift, abs=1e-5)
            assert one.random_change_drift == pytest.approx(other.random_change_drift, rel=1e-3)
        between = {(b.first, b.second, b.layer): b.drift for b in streamed.between}
        assert between == {key: pytest.approx(v, abs=1e-5) for key, v in
                           {(b.first, b.second, b.layer): b.drift for b in rows.between}.items()}  # fmt: skip


def test_base_model_is_loaded_again_only_where_memory_is_scarce(models, texts, monkeypatch):
    loads = []
    load = base_model.load_backbone
    monkeypatch.setattr(base_model, "load_backbone", lambda *a, **k: loads.append(1) or load(*a, **k))
    ample = run(models, ["full"], texts)
    assert len(loads) == 1
    monkeypatch.setattr(base_model, "available_memory_bytes", lambda: 0)
    scarce = run(models, ["full"], texts)
    assert len(loads) == 3
    assert scarce.models == ample.models
    assert scarce.base_layers == ample.base_layers


@pytest.mark.filterwarnings("ignore:Careful, disabling adapter layers")
@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_adapter_that_leaves_another_model_than_the_base_is_found_out(models, texts, monkeypatch, accumulate):
    said = run(models, ["biased"], texts, accumulate=accumulate)
    monkeypatch.setattr(base_model, "reason_against_sharing", lambda *_: None)
    found = run(models, ["biased"], texts, accumulate=accumulate)
    assert "switched off, the adapters leave another model than the base" in found.models[0].weights
    assert [at.drift for at in found.models[0].layers] == [at.drift for at in said.models[0].layers]


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_depth_that_the_configuration_does_not_tell_is_seen_in_the_model(
    models, texts, tmp_path, monkeypatch, accumulate
):
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(models["base"])
    config.num_hidden_layers = 5
    BertModel(config).save_pretrained(tmp_path / "deep")
    monkeypatch.setattr(inputs, "depth_fault", lambda *_: None)
    refs = [str(tmp_path / "deep"), str(models["full"])]
    result = compare(str(models["base"]), refs, data=str(texts), accumulate=accumulate)
    by_grid = "compared by grid" if accumulate == "rows" else "not comparable"
    assert [m.status for m in result.models] == [by_grid, "compared"]
    assert "5 layers, the base model 3" in result.models[0].reason
    assert ("--accumulate rows" in result.models[0].reason) == (accumulate == "moments")


def test_adapter_that_trained_biases_is_run_on_its_own_weights(models, texts):
    result = run(models, ["biased", "a"], texts)
    assert result.models[0].weights.startswith("its own copy: it trained biases")
    alone = run(models, ["a"], texts)
    assert [at.drift for at in alone.models[0].layers] == [at.drift for at in result.models[1].layers]


def test_adapter_that_changes_nothing_is_said_with_the_cause(models, texts):
    result = run(models, ["zero"], texts)
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
    save_tuned(models["base"], tmp_path / "other_words")
    tokenizer = json.loads((tmp_path / "other_words/tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["the"], tokenizer["model"]["vocab"]["a"] = 5, 4
    (tmp_path / "other_words/tokenizer.json").write_text(json.dumps(tokenizer))
    llama_adapter = save_adapter(tiny_llama, tmp_path / "llama_adapter")
    refs = [str(p) for p in (deep, tmp_path / "other_words", llama_adapter, models["full"])]
    result = compare(str(models["base"]), refs, data=str(texts), sections=())
    assert [m.status for m in result.models] == ["not comparable"] * 3 + ["compared"]
    assert "5 layers, the base model 3" in result.models[0].reason
    assert "another tokenizer" in result.models[1].reason
    assert "tokenizer" in result.models[2].reason or "does not fit" in result.models[2].reason
    with pytest.raises(ModelError, match=r"(?s)none of the models can be compared.*5 layers.*--with grid"):
        compare(str(models["base"]), [str(deep)], data=str(texts), sections=())


def test_adapter_of_another_model_is_refused_by_itself(models, texts, tiny_llama, tmp_path):
    adapter = save_adapter(tiny_llama, tmp_path / "llama_adapter")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (adapter / name).unlink()
    result = compare(str(models["base"]), [str(adapter), str(models["a"])], data=str(texts))
    assert result.models[0].status == "not comparable"
    assert "does not fit" in result.models[0].reason
    assert result.models[1].status == "compared"


def test_command_writes_json_table_summary_and_figures(models, texts, tmp_path):
    arguments = ["compare", str(models["base"]), str(models["full"]), str(models["a"]), "--data", str(texts)]
    arguments += ["--with", "none", "--output-dir", str(tmp_path / "out")]
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("Of 2 models against ")
    assert "drift from" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8").lower()
    names = {p.name for p in (tmp_path / "out").iterdir()}
    result = Comparison.read(tmp_path / "out" / COMPARISON_FILE)
    own = {"comparison.json", "comparison.md", "report.html", "drift.csv", "drift_by_layer.png", "drift_by_layer.pdf"}
    assert names == own | set(result.section_files)
    import pandas as pd

    table = pd.read_csv(tmp_path / "out/drift.csv")
    cka = table[(table["measure"] == "cka") & (table["method"] == "tuned-bert")]
    assert np.allclose(cka["drift"], [at.drift for at in result.models[0].layers])
    printed = CliRunner().invoke(app, [*arguments, "--json", "--output-dir", str(tmp_path / "more")])
    assert json.loads(printed.stdout)["models"][0]["name"] == "tuned-bert"


@pytest.mark.parametrize(
    ("accumulate", "empty", "reason"),
    [("rows", "cca", "need more samples than features"), ("moments", "mutual_knn", "takes the rows themselves")],
)
def test_asked_measures_are_shown_and_where_one_has_no_value_the_reason_is(
    models, texts, tmp_path, accumulate, empty, reason
):
    arguments = ["compare", str(models["base"]), str(models["full"]), "--data", str(texts), "--no-controls"]
    asked = ["--measure", "procrustes", "--measure", empty, "--accumulate", accumulate]
    # Four samples lie in three dimensions, whatever they are.
    found = CliRunner().invoke(app, [*arguments, *asked, "--samples", "4", "--output-dir", str(tmp_path)])
    assert found.exit_code == 0, found.output
    said = " ".join(found.output.split())
    assert "with procrustes and " + empty in said
    result = Comparison.read(tmp_path / COMPARISON_FILE)
    (warning,) = [w for w in result.warnings if reason in w]
    assert warning.startswith(f"No value of {empty} for {models['full'].name} in any layer: ")
    assert f"mind: No value of {empty} for {models['full'].name} in any layer: " in said
    summary = (tmp_path / "comparison.md").read_text()
    assert "Drift under the other measures" in summary
    assert f"- {warning}" in summary.replace("\\", "")
    drifts = [number(at.values["procrustes"]) for at in result.models[0].layers]
    assert f"| procrustes | Procrustes distance | {' | '.join(drifts)} |" in summary
    assert f"| {empty} | 1 - " in summary
    assert f"| {empty} | None" not in summary


def test_exit_codes_tell_whether_all_some_or_none_were_compared(models, texts, tmp_path, tiny_llama):
    def code(*tuned):
        command = ["compare", str(models["base"]), *map(str, tuned), "--data", str(texts), "--no-controls"]
        with pytest.raises(SystemExit) as end:
            main([*command, "--output-dir", str(tmp_path / "out")])
        return end.value.code

    assert code(models["full"]) == 0
    assert code(models["full"], tiny_llama) == 3
    assert (tmp_path / "out" / COMPARISON_FILE).is_file()
    assert code(tiny_llama) == 1
    assert code() == 2, "wrong usage"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"pooling": "maen"}, ConfigError, "pooling"),
        ({"poolign": "mean"}, ConfigError, "poolign"),
        ({"measures": ("ckaa",)}, ConfigError, "Did you mean 'cka'"),
        ({"measures": ("ckaa",)}, ConfigError, "`repdrift measures` lists the measures$"),
        ({"measures": ("disagreement",)}, ConfigError, "measure of predictions"),
        ({"measures": ("cka", "cka")}, ConfigError, "stands twice$"),
        ({"layers": (7,)}, UnknownNameError, r"layer 7 not in BertModel \(3 layers, 0 to 2\)"),
        ({"samples": 3}, DataError, "at least 4"),
        ({"data": "nowhere.csv"}, DataError, "does not exist"),
        ({"data": "sst22"}, UnknownNameError, "Did you mean 'sst2'"),
        ({"max_length": 999}, DataError, "more than the model's maximum of 64"),
        ({"max_length": 0}, DataError, "at least 1 token, got 0"),
        ({"max_length": 1}, DataError, "cannot be cut to 1 tokens"),
        ({"data_dir": "nowhere"}, ConfigError, "a data folder is for built-in tasks"),
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


def _damaged(models, folder, how):
    """A copy of the tuned model, or of an adapter, that cannot be compared."""
    source = "a" if how.startswith("adapter") else "full"
    shutil.copytree(models[source], folder)
    weights = folder / ("adapter_model.safetensors" if source == "a" else "model.safetensors")
    if how.endswith("config"):
        (folder / ("adapter_config.json" if source == "a" else "config.json")).write_text("[1]")
    elif how == "adapter kind":
        config = json.loads((folder / "adapter_config.json").read_text()) | {"peft_type": "FOO"}
        (folder / "adapter_config.json").write_text(json.dumps(config))
    elif how == "adapter rank":
        config = json.loads((folder / "adapter_config.json").read_text()) | {"r": 4}
        (folder / "adapter_config.json").write_text(json.dumps(config))
    elif how.endswith("cut"):
        weights.write_bytes(weights.read_bytes()[:-200])
    elif how == "pointer":
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")
    elif how == "index":
        (folder / "model.safetensors.index.json").write_text("{")
    else:
        tensors = load_file(weights)
        name = min(n for n in tensors if "layer.1." in n and n.endswith("weight") and "query" in n)
        tensors[name][0, 0] = torch.nan
        save_file(tensors, weights, metadata={"format": "pt"})
    return folder


DAMAGES = {
    "config": "config.json should hold a JSON object, got list",
    "cut": "is truncated",
    "pointer": "is a pointer of Git LFS",
    "index": "model.safetensors.index.json cannot be read as JSON",
    "nan": "layer 1, sample '",
    "adapter config": "adapter_config.json should hold a JSON object, got list",
    "adapter kind": "peft_type is 'FOO'",
    "adapter rank": "size mismatch",
    "adapter cut": "cannot be read as safetensors",
    "adapter nan": "holds NaN or Inf",
}


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_damaged_models_are_named_and_the_others_are_compared(models, texts, tmp_path, accumulate):
    refs = [str(_damaged(models, tmp_path / how, how)) for how in DAMAGES]
    refs += [str(models["full"]), str(models["a"])]
    options = {"data": str(texts), "accumulate": accumulate, "controls": False}
    result = compare(str(models["base"]), refs, **options)
    assert [m.status for m in result.models] == ["not comparable"] * len(DAMAGES) + ["compared"] * 2
    for (how, reason), model in zip(DAMAGES.items(), result.models, strict=False):
        assert reason in model.reason
        assert any(f"{how} was not compared" in warning for warning in result.warnings)
    alone = compare(str(models["base"]), [str(models["a"])], **options)
    assert [at.drift for at in result.models[-1].layers] == pytest.approx([at.drift for at in alone.models[0].layers])


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_tuned_model_that_collapsed_or_is_too_short_is_named(models, texts, tmp_path, accumulate):
    from transformers import BertConfig, BertModel

    model = BertModel.from_pretrained(models["base"])
    for name, parameter in model.named_parameters():
        if "layer.2.output.LayerNorm" in name:
            torch.nn.init.zeros_(parameter)
    model.save_pretrained(tmp_path / "collapsed")
    config = BertConfig.from_pretrained(models["base"])
    config.max_position_embeddings = 6
    BertModel(config).save_pretrained(tmp_path / "short")
    refs = [str(tmp_path / "collapsed"), str(tmp_path / "short"), str(models["full"])]
    result = compare(str(models["base"]), refs, data=str(texts), accumulate=accumulate)
    assert [m.status for m in result.models] == ["not comparable", "not comparable", "compared"]
    assert "layer 2: tuned model: all 40 samples have the same representation" in result.models[0].reason
    assert "the model takes 6" in result.models[1].reason
    assert not any("collapsed" in (pair.first, pair.second) for pair in result.between)


def test_weights_that_cannot_be_compared_for_any_reason_leave_the_answer(models, texts, monkeypatch):
    def fails(*_args):
        raise StorageError("a cache folder is full")

    monkeypatch.setattr(weight_changes, "compare_weights", fails)
    result = run(models, ["full"], texts)
    assert result.models[0].status == "compared"
    assert any("The weights of tuned-bert were not compared" in w and "cache folder" in w for w in result.warnings)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_adapter_of_an_encoder_decoder_shares_the_base_in_either_stack(texts, tiny_bert, tmp_path, accumulate, stack):
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(3)
    config = BartConfig(
        vocab_size=60, d_model=16, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64, init_std=0.2, pad_token_id=0, bos_token_id=2,
        eos_token_id=3, decoder_start_token_id=2, forced_eos_token_id=3,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    save_model(model, load_tokenizer(resolve_model(str(tiny_bert))), tmp_path / "bart")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="SEQ_2_SEQ_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(tmp_path / "adapter")
    options = {"data": str(texts), "accumulate": accumulate, "stack": stack}
    found = compare(str(tmp_path / "bart"), [str(tmp_path / "adapter")], **options).models[0]
    assert found.weights == "the base model's, in memory once"
    assert len(found.layers) == {"encoder": 2, "decoder": 3}[stack]
    for at in found.layers:
        assert at.drift > 0.01
        assert at.random_change_drift is not None
        assert at.weights["lora_rank_utilisation"] == pytest.approx(1)


def test_tokens_kept_as_rows_have_no_interval(models, texts):
    for at in run(models, ["full"], texts, pooling="tokens", accumulate="rows", controls=False).models[0].layers:
        assert at.drift_low is None
        assert at.drift_high is None


def test_output_folder_that_cannot_be_written_is_said_before_anything_is_run(models, texts, tmp_path, monkeypatch):
    def not_reached(*_):
        raise AssertionError("models were run")

    monkeypatch.setattr("repdrift.comparison.comparing.compare_models", not_reached)
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file/below", tmp_path / ("x" * 300)):
        with pytest.raises(StorageError, match="cannot write"):
            run(models, ["full"], texts, output_dir=folder)


def test_name_with_brackets_is_printed_as_it_is(models, texts, tmp_path):
    shutil.copytree(models["full"], tmp_path / "a[red]b")
    arguments = ["compare", str(models["base"]), str(tmp_path / "a[red]b"), "--data", str(texts), "--no-controls"]
    arguments += ["--with", "none", "--no-outputs"]
    found = CliRunner().invoke(app, [*arguments, "--output-dir", str(tmp_path / "out")])
    assert found.stdout.startswith("a[red]b against ")
    assert re.search(r"^a\[red\]b +0\.", found.stdout, re.MULTILINE)


@pytest.mark.parametrize("option", [["--memory-cap", "0"], ["--samples", "-5"]])
def test_senseless_numbers_on_the_command_line_are_refused(models, texts, option):
    arguments = ["compare", str(models["base"]), str(models["full"]), "--data", str(texts), *option]
    assert CliRunner().invoke(app, arguments).exit_code == 2
