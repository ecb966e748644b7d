"""Weights that bitsandbytes packed are read as the library brings them back, and what they differ by is said to be rounding."""

import importlib

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BitsAndBytesConfig

from repdrift.core.errors import ModelError
from repdrift.core.weights_words import model_weights_worded
from repdrift.models import quiet_transformers, resolve_model
from repdrift.models.checkpoint import stored_tensors
from repdrift.models.packed_weights import packed_weights
from repdrift.weights import base_matrices, changed_matrices, moved_weights
from tests.tiny_models import save_llama

pytest.importorskip("bitsandbytes")
functional = importlib.import_module("bitsandbytes.functional")

KINDS = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    "nested": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "int8": {"load_in_8bit": True},
}
UP = "layers.1.mlp.up_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("packed") / "base", width=64)


def quantised(base, folder, kind):
    with quiet_transformers():
        model = AutoModel.from_pretrained(
            base, quantization_config=BitsAndBytesConfig(**KINDS[kind]), device_map="cpu", dtype=torch.float32
        )
        model.save_pretrained(folder)
    return resolve_model(str(folder)), model


def brought_back(layer, kind):
    """The weight of a layer as the library itself makes it ordinary."""
    if kind == "int8":
        scales = layer.weight.SCB if layer.weight.SCB is not None else layer.state.SCB
        return functional.int8_vectorwise_dequant(layer.weight.data, scales)
    return functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_as_the_library_brings_it_back(base, tmp_path, kind):
    source, model = quantised(base, tmp_path / "quantised", kind)
    found = packed_weights(stored_tensors(source))
    assert len(found) == 21, "seven matrices in each of three blocks"
    for name, weight in found.items():
        expected = brought_back(model.get_submodule(name.removesuffix(".weight")), kind)
        assert weight.read().dtype == torch.float32
        torch.testing.assert_close(weight.read(), expected.float().reshape(weight.shape), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_change_of_a_quantised_model_is_its_rounding_and_said_to_be(base, tmp_path, kind):
    source, model = quantised(base, tmp_path / "quantised", kind)
    opened = base_matrices(resolve_model(str(base)))
    found = moved_weights(opened, {"quantised": source})
    assert found.missing == {}
    moved = found.models["quantised"]
    (up,) = [at for at in moved.weights if at.layer == 1 and at.module == "mlp.up_proj.weight"]
    before = load_file(base / "model.safetensors")[f"{UP}.weight"].double()
    after = brought_back(model.get_submodule(UP), kind).double().reshape(before.shape)
    assert up.change_norm == pytest.approx(float((after - before).norm()), rel=1e-5)
    bits = 8 if kind == "int8" else 4
    assert (
        up.note == f"float32 in the base model, {bits} bits a number in the tuned one: part of the change is rounding"
    )
    assert any("part of the change is rounding" in line for line in model_weights_worded(moved).answer)
    assert not [line for line in moved.not_compared if "quant" in line or "absmax" in line or "SCB" in line], (
        moved.not_compared
    )
    assert [at.module for at in moved.weights if at.note is None and at.change_norm > 0] == []


def test_two_models_that_are_packed_alike_differ_by_nothing(base, tmp_path):
    one, _ = quantised(base, tmp_path / "one", "nested")
    found = changed_matrices(base_matrices(one), one)
    assert all(float(at.change().abs().max()) == 0.0 and at.note is None for at in found)


@pytest.mark.parametrize("fault", ["text", "shape", "group", "scales"])
def test_parts_that_do_not_belong_together_are_refused(base, tmp_path, fault):
    source, _ = quantised(base, tmp_path / "quantised", "nf4")
    path = source.path / "model.safetensors"
    tensors = load_file(path)
    state = next(name for name in tensors if name.startswith(UP) and "quant_state" in name)
    if fault == "text":
        tensors[state] = torch.zeros(8, dtype=torch.uint8)
    elif fault == "shape":
        text = bytes(tensors[state].tolist()).replace(b"64", b"65")
        tensors[state] = torch.tensor(list(text), dtype=torch.uint8)
    elif fault == "group":  # would ask for a thousand times the memory
        text = bytes(tensors[state].tolist()).replace(b'"blocksize": 64', b'"blocksize": 64000')
        assert b"64000" in text
        tensors[state] = torch.tensor(list(text), dtype=torch.uint8)
    else:
        tensors[f"{UP}.weight.absmax"] = tensors[f"{UP}.weight.absmax"][:2].clone()
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ModelError, match="Copy or download"):
        packed_weights(stored_tensors(source))[f"{UP}.weight"].read()
