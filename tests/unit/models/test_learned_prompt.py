"""Learned prompts: the hidden states of peft's own model at the real tokens, whatever the padding and the batch."""

import json
from functools import partial
from typing import Any

import pytest
import torch
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from repdrift.core.errors import DataError, ModelError
from repdrift.extraction import RepresentationExtractor, extract
from repdrift.models import (
    backbone_of,
    headless,
    is_learned_prompt,
    learned_prompt_of,
    load_adapters,
    load_backbone,
    load_prompted,
    quiet_transformers,
    resolve_model,
)
from repdrift.weights import compare_adapter

TOKENS = 4
CONFIGS = {
    "prefix": partial(PrefixTuningConfig, num_virtual_tokens=TOKENS),
    "prompt": partial(PromptTuningConfig, num_virtual_tokens=TOKENS),
    "p_tuning": partial(PromptEncoderConfig, num_virtual_tokens=TOKENS, encoder_hidden_size=16, encoder_dropout=0.5),
}
TEXTS = [[2, 5, 6, 7, 8, 9, 3], [2, 10, 3], [2, 11, 12, 13, 3]]


def prompted(base, kind, head: Any = AutoModelForSequenceClassification, task="SEQ_CLS"):
    torch.manual_seed(5)
    with quiet_transformers():
        model = head.from_pretrained(base)
        return get_peft_model(model, CONFIGS[kind](task_type=task)).eval()


def padded(side):
    longest = max(map(len, TEXTS))
    rows = [([0] * (longest - len(t)), t) for t in TEXTS]
    masks = [([0] * (longest - len(t)), [1] * len(t)) for t in TEXTS]
    order = (lambda pad, text: pad + text) if side == "left" else (lambda pad, text: text + pad)
    return {
        "input_ids": torch.tensor([order(*row) for row in rows]),
        "attention_mask": torch.tensor([order(*mask) for mask in masks]),
    }


def of_peft(model, ids):
    """Hidden states of peft's own forward pass over one text by itself, without those of virtual positions."""
    with torch.no_grad():
        states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    return [state[0, -len(ids) :] for state in states]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama"])
def test_hidden_states_are_those_of_peft_whatever_the_padding(name, kind, request):
    model = prompted(request.getfixturevalue(name), kind)
    alone = [of_peft(model, text) for text in TEXTS]
    plain = extract(model.base_model, padded("right"), pooling="tokens")
    for side in ("right", "left"):
        found = extract(model, padded(side), pooling="tokens", token_budget=14)  # more than one batch
        assert {rows.shape for rows in found.values()} == {(sum(map(len, TEXTS)), 16)}
        for layer in (0, 1):  # after the last block comes a norm in some models
            expected = torch.cat([states[layer + 1] for states in alone])
            torch.testing.assert_close(found[f"layer_{layer}"], expected, rtol=1e-5, atol=1e-5)
            assert (found[f"layer_{layer}"] - plain[f"layer_{layer}"]).abs().max() > 0.1


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "mean_skip_first"])
def test_pooled_rows_are_of_real_tokens(pooling, tiny_llama):
    model = prompted(tiny_llama, "prompt", AutoModelForCausalLM, "CAUSAL_LM")
    pools = {
        "mean": lambda h: h.mean(0),
        "first": lambda h: h[0],
        "last": lambda h: h[-1],
        "mean_skip_first": lambda h: h[1:].mean(0),
    }
    expected = torch.stack([pools[pooling](of_peft(model, text)[1]) for text in TEXTS])
    found = extract(model, padded("right"), pooling=pooling, layers=[0])["layer_0"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_prompt_with_dropout_is_run_without_it_and_the_mode_comes_back(tiny_bert):
    model = prompted(tiny_bert, "p_tuning").train()
    one, two = (extract(model, padded("right")) for _ in range(2))
    assert torch.equal(one["layer_2"], two["layer_2"])
    assert all(module.training for module in model.modules())


def test_prompt_that_is_switched_off_is_not_run(tiny_llama):
    model = prompted(tiny_llama, "prompt", AutoModelForCausalLM, "CAUSAL_LM")
    with model.disable_adapter():
        found = extract(model, padded("right"))
    assert torch.equal(found["layer_1"], extract(model.base_model, padded("right"))["layer_1"])
    assert learned_prompt_of(model) is not None


@pytest.mark.parametrize("kind", CONFIGS)
def test_prompt_in_files_is_put_before_the_base_model(kind, tiny_bert, tmp_path):
    model = prompted(tiny_bert, kind)
    model.save_pretrained(tmp_path)
    base, adapter = resolve_model(str(tiny_bert)), resolve_model(str(tmp_path))
    loaded = load_prompted(load_backbone(base), base, adapter)
    assert is_learned_prompt(adapter)
    assert "4 virtual tokens" in loaded.notes[-1]
    assert torch.equal(extract(loaded.model, padded("right"))["layer_2"], extract(model, padded("right"))["layer_2"])
    with pytest.raises(ModelError, match="changes no weight"):
        compare_adapter(loaded.model)
    with pytest.raises(ModelError, match="stand before the text"):
        load_adapters(load_backbone(base), base, [adapter])


def test_prompt_of_another_width_or_without_its_tensor_is_refused(tiny_bert, tmp_path):
    prompted(tiny_bert, "prefix").save_pretrained(tmp_path)
    base, adapter = resolve_model(str(tiny_bert)), resolve_model(str(tmp_path))
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "num_layers": 2}))
    with pytest.raises(ModelError, match=r"its prompt is \(4, 96\).*takes \(4, 64\)"):
        load_prompted(load_backbone(base), base, adapter)
    path.write_text(json.dumps({"peft_type": "CPT", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4}))
    with pytest.raises(ModelError, match="a CPT depends on more than the text"):
        is_learned_prompt(adapter)
    from safetensors.torch import save_file

    path.write_text(json.dumps(config))
    save_file({"base_model.classifier.weight": torch.zeros(2, 16)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="hold no prompt_embeddings"):
        load_prompted(load_backbone(base), base, adapter)


def test_sample_that_fits_without_the_prompt_only_is_named(tiny_bert):
    model = prompted(tiny_bert, "prefix")
    row = torch.full((1, 61), 5)
    with pytest.raises(DataError, match="has 61 tokens, the model takes 60 behind the 4 virtual tokens"):
        extract(model, {"input_ids": row})
    assert extract(model, {"input_ids": row[:, :60]})["layer_0"].shape == (1, 16)
    with pytest.raises(DataError, match="leave position_ids out"):
        extract(model, {"input_ids": row[:, :3], "position_ids": torch.arange(3)[None]})


def test_what_does_not_run_the_prompt_refuses_the_model(tiny_bert):
    model = prompted(tiny_bert, "prefix")
    with pytest.raises(ModelError, match="it would be lost here"):
        backbone_of(model)
    assert headless(model) is RepresentationExtractor(model).backbone
