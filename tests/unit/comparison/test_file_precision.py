"""Rounding in the files of tuned models: part of the noise, measured by rounding the base model in the same way."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.comparison.comparing import compare
from repdrift.comparison.file_precision import coarse_formats, round_weights
from repdrift.comparison.measured import Measured
from repdrift.core.records.comparison import BaseLayer, LayerDrift
from repdrift.models import load_backbone, resolve_model
from tests.tiny_gguf import save_gguf
from tests.tiny_models import VOCABULARY
from tests.unit.comparison.tiny_comparisons import run


def stored(models, folder, number_format, *, of="base", keep=None, noise=0.0):
    """A copy of one of the models with its file's tensors in another number format, except those with `keep` in their name."""
    shutil.copytree(models[of], folder)
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(folder / "model.safetensors")
    for name, values in tensors.items():
        if noise and values.dim() == 2 and "layer" in name:
            values += noise * torch.randn(values.shape, generator=generator)  # noqa: PLW2901  in place
        if keep is None or keep not in name:
            tensors[name] = values.to(getattr(torch, number_format))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_cast_of_the_base_model_is_not_above_noise_and_says_that_it_is_rounded(models, texts, tmp_path, accumulate):
    refs = [stored(models, tmp_path / name, name) for name in ("bfloat16", "float16", "float8_e4m3fn")]
    result = compare(str(models["base"]), refs, data=str(texts), accumulate=accumulate, control_samples=20)
    for model in result.models:
        assert [at.above_noise for at in model.layers] == [False] * 3
        assert [at.rounding_drift == pytest.approx(at.control_drift, rel=1e-4) for at in model.layers] == [True] * 3
        assert min(at.drift for at in model.layers) > 1e-9, "the rounding is seen, and not put away"
        assert any(f"rounded to {model.name}" in note for note in model.notes)
    if accumulate == "rows":
        assert all(at.rounding_low < at.rounding_drift < at.rounding_high for m in result.models for at in m.layers)


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_training_is_above_noise_only_where_it_moved_more_than_rounding(models, texts, tmp_path, accumulate):
    size = 0.2  # of the weights
    refs = {noise: stored(models, tmp_path / str(noise), "bfloat16", noise=noise * size) for noise in (3e-4, 0.03)}
    exact = {
        noise: stored(models, tmp_path / f"{noise} exact", "float32", noise=noise * size) for noise in (3e-4, 0.03)
    }
    result = compare(str(models["base"]), [*refs.values(), *exact.values()], data=str(texts), accumulate=accumulate)
    little, much, little_exact, much_exact = (model.layers for model in result.models)
    for at, true in zip(little, little_exact, strict=True):
        assert true.drift < at.rounding_drift
        assert at.above_noise is False
        assert true.above_noise is True, "in float32 it can be told from noise"
        assert true.rounding_drift is None
    for at, true in zip(much, much_exact, strict=True):
        assert at.drift == pytest.approx(true.drift, rel=0.1)
        assert at.above_noise is True


def test_values_tell_the_precision_and_not_the_files_header(models, texts, tmp_path):
    """Weights that were bfloat16 once, stored in float32; and a file whose norms are float32 and whose matrices are not."""
    stored(models, tmp_path / "half", "bfloat16")
    upcast = stored({"base": tmp_path / "half"}, tmp_path / "upcast", "float32")
    mixed = stored(models, tmp_path / "mixed", "bfloat16", keep="LayerNorm")
    result = compare(str(models["base"]), [upcast, mixed], data=str(texts))
    for model in result.models:
        assert [at.above_noise for at in model.layers] == [False] * 3
    formats = coarse_formats(load_backbone(resolve_model(mixed)))
    assert formats["encoder.layer.0.output.dense.weight"] == "bfloat16"


def test_base_in_half_precision_gives_no_rounding_and_one_sentence_for_all(models, texts, tmp_path):
    base = stored(models, tmp_path / "base16", "bfloat16")
    refs = [stored(models, tmp_path / name, "bfloat16", of="full") for name in ("one", "two")]
    result = compare(base, refs, data=str(texts))
    assert all(at.rounding_drift is None and at.above_noise for model in result.models for at in model.layers)
    (said,) = [w for w in result.warnings if "bfloat16" in w]
    assert "one and two" in said
    again = compare(base, [stored(models, tmp_path / "again", "bfloat16")], data=str(texts))
    assert [at.drift for at in again.models[0].layers] == pytest.approx([0.0] * 3, abs=1e-12)


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_tuned_model_that_rounds_to_the_base_model_is_said_to_be_its_rounding(models, texts, tmp_path, accumulate):
    base = stored(models, tmp_path / "base16", "bfloat16")
    result = compare(base, [str(models["base"]), str(models["full"])], data=str(texts), accumulate=accumulate)
    rounding, trained = result.models
    (said,) = [note for note in rounding.notes if "rounded to bfloat16" in note]
    assert "all of its drift is the rounding of the base model's files" in said
    assert not any("rounded to bfloat16" in note for note in trained.notes)


def test_without_controls_nothing_is_said_about_noise_but_the_rounding_is(models, texts, tmp_path):
    result = compare(
        str(models["base"]), [stored(models, tmp_path / "half", "bfloat16")], data=str(texts), controls=False
    )
    assert [at.above_noise for at in result.models[0].layers] == [None] * 3
    assert "rounded to bfloat16" in result.models[0].notes[0]


def test_adapter_stored_in_half_precision_says_so_and_runs_on_an_unrounded_base(models, texts, tmp_path):
    shutil.copytree(models["a"], tmp_path / "half")
    path = tmp_path / "half/adapter_model.safetensors"
    save_file({k: v.to(torch.bfloat16) for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
    result = compare(str(models["base"]), [str(tmp_path / "half"), str(models["a"])], data=str(texts))
    assert "Its files hold bfloat16" in result.models[0].notes[0]
    assert result.models[1].notes == []
    assert result.models[0].layers[0].rounding_drift is None


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_rounding_of_a_run_in_half_precision_is_part_of_its_noise(models, texts, tmp_path, accumulate):
    """Two files that differ by less than the run's rounding drift by the rounding; the same in float32 is above noise."""
    cast = stored(models, tmp_path / "cast", "float16")
    near = stored(models, tmp_path / "near", "float32", noise=1e-5)
    coarse = compare(
        str(models["base"]), [cast, near], data=str(texts), accumulate=accumulate, compute_dtype="bfloat16"
    )
    exact = compare(str(models["base"]), [near], data=str(texts), accumulate=accumulate)
    assert any(at.drift > 1e-6 for at in coarse.models[0].layers)
    assert [[at.above_noise for at in m.layers] for m in coarse.models] == [[False] * 3] * 2
    assert [at.above_noise for at in exact.models[0].layers] == [True] * 3
    tuned = run(models, ["full"], texts, accumulate=accumulate, compute_dtype="bfloat16")
    assert [at.above_noise for at in tuned.models[0].layers] == [True] * 3


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_quantised_model_is_not_said_to_be_above_noise(tiny_llama, texts, tmp_path, accumulate):
    """Quantising cannot be repeated on the base model here, so its drift may be rounding alone."""
    base = _gguf_llama(tmp_path / "base", tiny_llama, quantised=False)
    tuned = [_gguf_llama(tmp_path / name, tiny_llama, quantised=True) for name in ("one", "two")]
    result = compare(str(base), [str(path) for path in tuned], data=str(texts), accumulate=accumulate)
    assert [[at.above_noise for at in m.layers] for m in result.models] == [[None] * 2] * 2
    (said,) = [w for w in result.warnings if "control of rounding is missing" in w]
    assert "one and two" in said
    assert "Q8_0 (GGUF)" in said
    assert all("Q8_0" in model.notes[0] for model in result.models)
    again = compare(str(tuned[0]), str(tuned[1]), data=str(texts), accumulate=accumulate)
    assert [at.above_noise for at in again.models[0].layers] == [False] * 2, "quantised alike"


def _gguf_llama(folder, tokenizer, *, quantised):
    """A folder with the GGUF file of a Llama of 2 layers, width 32, always the same, and the tokenizer of another folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    folder.mkdir()
    for file in tokenizer.glob("tokenizer*"):
        shutil.copy(file, folder)
    save_gguf(LlamaForCausalLM(config), folder / "model.gguf", "llama", quantised=quantised)
    return folder


def test_weight_that_is_all_zero_was_not_rounded(tiny_bert):
    model = load_backbone(resolve_model(str(tiny_bert)))
    name = "encoder.layer.1.output.dense.weight"
    assert name not in coarse_formats(model)
    with torch.no_grad():
        model.get_parameter(name).zero_()
    assert name not in coarse_formats(model)


def test_rounding_is_done_weight_by_weight(tiny_bert):
    model, before = (load_backbone(resolve_model(str(tiny_bert))) for _ in range(2))
    name = "encoder.layer.1.output.dense.weight"
    round_weights(model, {name: "bfloat16"})
    for key, values in model.named_parameters():
        expected = before.get_parameter(key)
        assert torch.equal(values, expected.bfloat16().float() if key == name else expected)


def test_rounded_model_is_judged_on_the_control_samples_against_twice_the_rounding():
    shape = {"top_feature_share": 0.1, "participation_ratio": 2.0, "largest_activation": 1.0}
    base_layers = [BaseLayer(layer=0, noise_floor=1e-8, **shape)]

    def judged(**values):
        layer = LayerDrift(layer=0, rows=9, drift=0.5, values={}, **values)
        measured = Measured("rows", base_layers=base_layers, layers={"a": [layer]}, rounded={"a": {"w": "bfloat16"}})
        measured.judge_noise()
        return measured.layers["a"][0].above_noise

    assert judged() is None, "the control is missing"
    assert judged(rounding_drift=0.1, control_drift=0.19) is False
    assert judged(rounding_drift=0.1, control_drift=0.21) is True
    assert judged(rounding_drift=0.1, rounding_high=0.3, control_drift=0.39) is False
    assert judged(rounding_drift=0.1, rounding_high=0.3, control_drift=0.41) is True
