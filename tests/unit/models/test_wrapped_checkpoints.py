"""Checkpoints of wrapped or compiled models: read under the model's own names everywhere; what is no whole model is named."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.core.errors import ModelError
from repdrift.models import load_backbone, load_tuned_backbone, resolve_model, source_notes
from repdrift.models.lazy_model import load_lazy_model
from repdrift.models.wrapper_names import unwrapped_name, wrappers_in
from repdrift.weights import compare_weights

WRAPPERS = {
    "compiled": lambda name: f"_orig_mod.{name}",
    "data parallel": lambda name: f"module.{name}",
    "compiled inside": lambda name: name.replace("model.", "model._orig_mod.", 1),
    "peft": lambda name: f"base_model.model.{name}",
    "fsdp blocks": lambda name: name.replace("layers.1.", "layers.1._fsdp_wrapped_module._checkpoint_wrapped_module."),
    "several": lambda name: f"module._orig_mod.base_model.model.{name.replace('layers.2.', 'layers.2._orig_mod.')}",
}


@pytest.fixture(scope="module")
def causal_llama(tiny_llama, tmp_path_factory):
    from transformers import AutoConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("causal")
    torch.manual_seed(5)
    LlamaForCausalLM(AutoConfig.from_pretrained(tiny_llama)).save_pretrained(folder)
    return folder


def _with(source, folder, tensors):
    shutil.copytree(source, folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return resolve_model(str(folder))


@pytest.mark.parametrize("how", WRAPPERS)
def test_wrapped_names_are_read_by_every_way_into_the_checkpoint(how, causal_llama, tmp_path):
    tensors = load_file(causal_llama / "model.safetensors")
    wrapped = {WRAPPERS[how](name): tensor for name, tensor in tensors.items()}
    assert {unwrapped_name(name) for name in wrapped} == set(tensors)
    source, plain = _with(causal_llama, tmp_path / "m", wrapped), resolve_model(str(causal_llama))
    expected = load_backbone(plain).state_dict()
    for loaded in (load_backbone(source), load_tuned_backbone(source)):
        assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())
    with load_lazy_model(source).block(1) as block:
        for name, tensor in block.state_dict().items():
            assert torch.equal(tensor, expected[f"layers.1.{name}"])
    changes = compare_weights(plain, source, "layers").changes
    assert len(changes) == 29
    assert {change.change_norm for change in changes} == {0.0}
    assert wrappers_in(wrapped)[0] in source_notes(source)[0]


def test_ordinary_names_stay_as_they_are(causal_llama):
    for name in ("model.layers.0.self_attn.q_proj.weight", "encoder.module.weight", "module_list.0.weight"):
        assert unwrapped_name(name) == name
    assert source_notes(resolve_model(str(causal_llama))) == []


def _half_empty(tensors):
    return {n: torch.empty(0) if k % 2 else t for k, (n, t) in enumerate(tensors.items())}


def _unmerged(tensors):
    return {n.replace("q_proj.weight", "q_proj.base_layer.weight"): t for n, t in tensors.items()}


def _left_over_lora(tensors):
    return tensors | {"model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.ones(2, 16)}


def _twice(tensors):
    return tensors | {f"module.{n}": t.clone() for n, t in tensors.items()}


def _deeper(tensors):
    return tensors | {n.replace("layers.2.", "layers.3."): t.clone() for n, t in tensors.items() if "layers.2." in n}


FAULTS = {
    "half empty": (_half_empty, r"of 30 tensors are empty \(size 0\).*ZeRO-3"),
    "unmerged": (_unmerged, "an adapter in it that was not merged"),
    "left-over lora": (_left_over_lora, "an adapter in it that was not merged"),
    "flat": (lambda _: {"_fsdp_wrapped_module._flat_param": torch.ones(9)}, "flat parameters"),
    "nothing": (lambda _: {}, "no tensor at all"),
    "twice": (_twice, "twice, as"),
    "other prefix": (lambda tensors: {f"student.{n}": t for n, t in tensors.items()}, "under the prefix 'student.'"),
    "deeper": (_deeper, "9 tensors of its blocks have no place"),
    "bias": (lambda tensors: tensors | {"model.layers.0.self_attn.q_proj.bias": torch.ones(16)}, r"no place.*q_proj\.bias"),
    "packed": (lambda tensors: {n: (9 * t).to(torch.int8) for n, t in tensors.items()}, "whole numbers"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_checkpoint_that_is_no_whole_model_is_named(fault, causal_llama, tmp_path):
    change, said = FAULTS[fault]
    source = _with(causal_llama, tmp_path / "m", change(load_file(causal_llama / "model.safetensors")))
    with pytest.raises(ModelError, match=said):
        load_tuned_backbone(source)
    if fault not in (
        "other prefix",
        "packed",
    ):  # any prefix is taken off there; packed numbers are refused when they are read
        with pytest.raises(ModelError, match=said):
            load_lazy_model(source)


def test_computed_tensors_of_older_versions_have_no_place_and_need_none(causal_llama, tmp_path):
    older = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    source = _with(causal_llama, tmp_path / "m", load_file(causal_llama / "model.safetensors") | older)
    load_backbone(source)
    load_lazy_model(source)


def test_shapes_that_are_not_the_configurations_are_named(causal_llama, tmp_path):
    shutil.copytree(causal_llama, tmp_path / "m")
    config = json.loads((causal_llama / "config.json").read_text()) | {"intermediate_size": 48}
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"9 weights have another shape.*\(16, 32\) in the files, and \(16, 48\)"):
        load_backbone(resolve_model(str(tmp_path / "m")))
