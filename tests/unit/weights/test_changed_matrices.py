"""The reader of changed matrices against the base model's own parameters and those after peft merged the adapter."""

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import AutoModel, GPT2Config, GPT2Model

from repdrift.models import load_backbone, load_task_model, resolve_model
from repdrift.weights import WeightName, base_matrices, changed_matrices
from tests.unit.weights.tuned_models import headed

TARGETS = {"tiny_bert": ["query", "intermediate.dense"], "tiny_llama": ["q_proj", "down_proj"]}


def adapter_on(base, folder, config, *, task=True):
    """Saves an adapter whose every tensor is random, and returns its source and the parameters of the merged backbone."""
    torch.manual_seed(5)
    model = load_task_model(base, "classification", num_labels=2) if task else load_backbone(base)
    model = get_peft_model(model, config)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "score" not in name and "classifier" not in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder, save_embedding_layers=False)
    merged = model.merge_and_unload()
    return resolve_model(str(folder)), dict((merged.base_model if task else merged).named_parameters())


def in_float64(found):
    return {str(at.name): at.change().double() for at in found}


def full_names(base, found):
    return {
        (at.name.name if at.name.layer is None else f"{base.blocks_path}.{at.name.layer}.{at.name.name}"): at
        for at in found
    }


def require_changes(base_source, found, base, after):
    """Every change is that of the parameter of its name, and a parameter without one did not change."""
    before = dict(load_backbone(base_source).named_parameters())
    changes = full_names(base, found)
    for name, parameter in before.items():
        expected = after[name].double() - parameter.double()
        if name not in changes:
            assert float(expected.abs().max()) == 0.0, name
            continue
        at = changes[name]
        assert tuple(at.change().shape) == at.base_shape == tuple(at.read_base().shape)
        turned = expected.T if at.transposed else expected
        torch.testing.assert_close(at.change().double(), turned, atol=2e-6, rtol=1e-5)
        kept = parameter.T if at.transposed else parameter
        assert torch.equal(at.read_base().float(), kept.detach())


def test_full_fine_tune_is_read_pair_by_pair(base, tmp_path):
    tuned = headed(base, tmp_path / "tuned", amount=0.01)
    opened = base_matrices(base)
    found = changed_matrices(opened, tuned)
    require_changes(base, found, opened, dict(load_backbone(tuned).named_parameters()))
    assert any("classifier" in line or "score" in line for line in found.not_compared)


def test_plain_lora_is_read_from_its_files(kind, base, tmp_path):
    config = LoraConfig(
        task_type="SEQ_CLS", r=2, lora_alpha=6, target_modules=TARGETS[kind], rank_pattern={TARGETS[kind][0]: 3}, use_rslora=True
    )  # fmt: skip
    adapter, after = adapter_on(base, tmp_path / "lora", config)
    opened = base_matrices(base)
    found = changed_matrices(opened, adapter)
    assert not found.in_memory
    assert {at.factors.rank for at in found if at.factors is not None} == {2, 3}
    require_changes(base, found, opened, after)


@pytest.mark.parametrize("config", [
    lambda targets: LoraConfig(task_type="SEQ_CLS", r=2, target_modules=targets, use_dora=True),
    lambda targets: LoraConfig(task_type="SEQ_CLS", r=2, target_modules=targets, bias="all"),
    lambda targets: IA3Config(task_type="SEQ_CLS", target_modules=targets, feedforward_modules=[]),
], ids=["dora", "biases", "ia3"])  # fmt: skip
def test_other_adapters_are_read_through_merging(kind, base, tmp_path, config):
    adapter, after = adapter_on(base, tmp_path / "adapter", config(TARGETS[kind]))
    opened = base_matrices(base)
    found = changed_matrices(opened, adapter)
    assert found.in_memory
    require_changes(base, found, opened, after)


def test_lora_on_an_embedding_is_turned_to_outputs_first(kind, base, tmp_path):
    embedding = {"tiny_bert": "word_embeddings", "tiny_llama": "embed_tokens"}[kind]
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=[embedding, TARGETS[kind][0]])
    adapter, after = adapter_on(base, tmp_path / "lora", config)
    opened = base_matrices(base)
    found = changed_matrices(opened, adapter)
    require_changes(base, found, opened, after)
    at = next(at for at in found if at.transposed)
    assert at.base_shape == (16, load_backbone(base).config.vocab_size)


@pytest.fixture
def gpt2(tmp_path):
    torch.manual_seed(0)
    GPT2Model(GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32)).save_pretrained(
        tmp_path / "gpt2"
    )
    return resolve_model(str(tmp_path / "gpt2"))


def test_gpt2_keeps_weights_transposed_and_outputs_come_first(gpt2, tmp_path):
    opened = base_matrices(gpt2)
    config = LoraConfig(r=2, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    adapter, after = adapter_on(gpt2, tmp_path / "lora", config, task=False)
    found = changed_matrices(opened, adapter)
    assert {at.base_shape for at in found} == {(48, 16), (64, 16)}
    require_changes(gpt2, found, opened, after)
    tuned = AutoModel.from_pretrained(gpt2.path)
    tuned.get_parameter("h.1.attn.c_attn.weight").data[:, 0] += 1.0
    tuned.save_pretrained(tmp_path / "tuned")
    change = changed_matrices(opened, resolve_model(str(tmp_path / "tuned"))).read(WeightName(1, "attn.c_attn.weight"))
    assert change is not None
    assert change.transposed
    assert change.base_shape == (48, 16)
    assert torch.equal(change.change().abs().sum(1).nonzero().flatten(), torch.tensor([0]))  # one output moved


def test_a_weight_that_the_model_does_not_have_is_none(kind, base, tmp_path):
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=TARGETS[kind][:1])
    adapter, _ = adapter_on(base, tmp_path / "lora", config)
    assert changed_matrices(base_matrices(base), adapter).read(WeightName(0, "no.such.weight")) is None
