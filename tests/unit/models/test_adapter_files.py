"""What the files of an adapter say, and what is said about damaged ones."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.core.errors import ModelError
from repdrift.models import json_object, load_backbone, reason_against_sharing, resolve_model
from repdrift.models.adapter_files import adapter_config, adapter_tensors, initialisation_changes_base


def changed(folder, target, **fields):
    """A copy of an adapter with other fields in its configuration."""
    shutil.copytree(folder, target)
    path = target / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return resolve_model(str(target))


def test_files_of_an_adapter_are_read(bert_adapter):
    source = resolve_model(str(bert_adapter))
    config, tensors = adapter_config(source), adapter_tensors(source)
    assert (config.r, config.inference_mode) == (2, True)
    assert tensors.keys() == load_file(bert_adapter / "adapter_model.safetensors").keys()


@pytest.mark.parametrize("initialisation", [True, False, "gaussian", "Gaussian", "eva", "orthogonal"])
def test_initialisation_of_the_matrices_alone_keeps_the_base(initialisation):
    assert not initialisation_changes_base(initialisation)


@pytest.mark.parametrize("initialisation", ["pissa", "pissa_niter_4", "olora", "loftq", "corda", "not known yet"])
def test_any_other_initialisation_may_change_the_base(initialisation):
    assert initialisation_changes_base(initialisation)


def test_reason_against_sharing_is_what_lands_in_the_base_model(bert_adapter, tiny_bert, tmp_path):
    backbone = load_backbone(resolve_model(str(tiny_bert)))
    assert reason_against_sharing(resolve_model(str(bert_adapter)), backbone) is None
    biased = changed(bert_adapter, tmp_path / "biased", bias="lora_only")
    assert reason_against_sharing(biased, backbone) == "it trained biases ('lora_only'), which stay when it is off"
    pissa = changed(bert_adapter, tmp_path / "pissa", init_lora_weights="pissa")
    assert reason_against_sharing(pissa, backbone) == "its initialisation ('pissa') changes the base weights"
    # Read from the names in the file: nothing in the configuration tells of an embedding that was saved with it.
    tensors = load_file(bert_adapter / "adapter_model.safetensors")
    embedding = backbone.embeddings.word_embeddings.weight.detach()
    for name, values, reason in (("same", embedding, None), ("other", embedding + 1, "replaces weights of the base")):
        source = changed(bert_adapter, tmp_path / name)
        whole = tensors | {"base_model.model.bert.embeddings.word_embeddings.weight": values.clone()}
        save_file(whole, source.path / "adapter_model.safetensors")
        assert (reason or "") in (reason_against_sharing(source, backbone) or "")
        assert (reason_against_sharing(source, backbone) is None) == (reason is None)


def test_unknown_kind_and_unreadable_fields_are_named(bert_adapter, tmp_path):
    with pytest.raises(ModelError, match="no kind of adapter that the installed peft knows: peft_type is 'NEW'"):
        adapter_config(changed(bert_adapter, tmp_path / "new", peft_type="NEW"))
    with pytest.raises(ModelError, match=r"adapter_config\.json cannot be read as the configuration of an adapter"):
        adapter_config(changed(bert_adapter, tmp_path / "odd", layers_pattern="x", layers_to_transform=None))


def test_tensor_that_is_not_finite_is_named(bert_adapter, tmp_path):
    source = changed(bert_adapter, tmp_path / "diverged")
    tensors = load_file(source.path / "adapter_model.safetensors")
    name = next(iter(tensors))
    tensors[name] = torch.full_like(tensors[name], torch.nan)
    save_file(tensors, source.path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=f"tensor {name} holds NaN or Inf"):
        adapter_tensors(source)


@pytest.mark.parametrize("change", [{"r": 10**7}, {"rank_pattern": {"query": 10**9}}])
def test_a_rank_beyond_the_tensors_is_refused_before_matrices_of_it_are_made(bert_adapter, tmp_path, change):
    folder = shutil.copytree(bert_adapter, tmp_path / "adapter")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(
        ModelError, match=r"adapter_config\.json names the rank 1,?0[0,]+, and no tensor .* longer than 16"
    ):
        adapter_tensors(resolve_model(str(folder)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 10**6}, "says num_hidden_layers 1,000,000, and no model has more than 10,000"),
        ({"num_labels": 10**9}, "says num_labels 1,000,000,000, and no model has more than 1,000,000"),
        ({"text_config": {"n_layer": 10**6}}, "says n_layer 1,000,000"),
        ({"vocab_size": 10**8}, "says vocab_size 100,000,000, and no weight has a side longer than 64"),
        ({"hidden_size": 10**6}, "says hidden_size 1,000,000, and no weight"),
        ({"max_position_embeddings": 10**9}, "says max_position_embeddings 1,000,000,000, and no weight"),
    ],
)
def test_a_configuration_that_would_fill_the_memory_is_refused_by_what_it_says(tiny_bert, tmp_path, change, said):
    folder = shutil.copytree(tiny_bert, tmp_path / "bert")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=said):
        load_backbone(resolve_model(str(folder)))


def test_settings_of_hundreds_of_megabytes_are_not_read(bert_adapter, monkeypatch):
    monkeypatch.setattr(json_object, "_LARGEST_BYTES", 100)
    with pytest.raises(ModelError, match=r"adapter_config\.json has [\d,]+ bytes; settings have 100 at most"):
        adapter_config(resolve_model(str(bert_adapter)))
