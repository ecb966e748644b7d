"""A folder that holds an adapter and a full model: one of the two is taken, never without a word, and the other takes no part."""

import json
import shutil

import pytest
import torch

from repdrift.models import load_backbone, load_task_model, load_tuned_backbone, resolve_model, source_notes


@pytest.fixture
def both(tuned_bert, bert_adapter, tmp_path):
    folder = tmp_path / "both"
    shutil.copytree(tuned_bert, folder)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(bert_adapter / name, folder)
    return folder


def _same(one, other):
    other = other.state_dict()
    return one.state_dict().keys() == other.keys() and all(
        torch.equal(t, other[n]) for n, t in one.state_dict().items()
    )


def test_adapter_is_taken_as_tuned_model_and_the_full_one_as_base(both, bert_adapter, tuned_bert):
    tuned, base = resolve_model(str(both)), resolve_model(str(both), prefer="model")
    assert tuned.is_adapter
    assert not base.is_adapter
    assert tuned.weights_digest() == resolve_model(str(bert_adapter)).weights_digest()
    assert base.weights_digest() == resolve_model(str(tuned_bert)).weights_digest()
    assert "the adapter was taken" in source_notes(tuned)[0]
    assert "the full model was taken" in source_notes(base)[0]


def test_full_model_is_loaded_without_the_adapter_beside_it(both, tuned_bert):
    """transformers would put the adapter on it."""
    source = resolve_model(str(both), as_kind="model")
    assert not source.is_adapter
    plain = resolve_model(str(tuned_bert))
    assert _same(load_backbone(source), load_backbone(plain))
    assert _same(load_tuned_backbone(source), load_tuned_backbone(plain))
    model = load_task_model(source, "classification", num_labels=2)
    assert _same(model, load_task_model(plain, "classification", num_labels=2))
    assert model.config.name_or_path == str(both)


def test_left_over_adapter_configuration_is_said_and_takes_no_part(tuned_bert, bert_adapter, tmp_path):
    folder = tmp_path / "left"
    shutil.copytree(tuned_bert, folder)
    config = json.loads((bert_adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "nobody/nothing"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    source = resolve_model(str(folder))
    assert not source.is_adapter
    assert "without an adapter's weights" in source_notes(source)[0]
    assert _same(load_backbone(source), load_backbone(resolve_model(str(tuned_bert))))


def test_weights_that_the_configuration_names_instead_are_not_taken(tuned_bert, tiny_bert, tmp_path):
    folder = tmp_path / "named"
    shutil.copytree(tuned_bert, folder)
    shutil.copy(tiny_bert / "model.safetensors", folder / "other.safetensors")
    config = json.loads((folder / "config.json").read_text()) | {"transformers_weights": "other.safetensors"}
    (folder / "config.json").write_text(json.dumps(config))
    assert _same(load_backbone(resolve_model(str(folder))), load_backbone(resolve_model(str(tuned_bert))))


def test_folder_with_one_of_the_two_has_nothing_to_say(tuned_bert, bert_adapter):
    assert source_notes(resolve_model(str(tuned_bert))) == []
    assert source_notes(resolve_model(str(bert_adapter))) == []
