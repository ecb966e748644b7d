"""Extraction agrees with references that use no hooks."""

import numpy as np
import pytest
import torch

from repdrift.extraction import extract
from repdrift.models import load_backbone, resolve_model

LENGTHS = (9, 4, 13, 2, 7, 13)


@pytest.fixture(params=["tiny_bert", "tiny_llama"])
def model(request):
    return load_backbone(resolve_model(str(request.getfixturevalue(request.param))))


@pytest.fixture
def inputs():
    g = torch.Generator().manual_seed(0)
    ids = torch.zeros((len(LENGTHS), max(LENGTHS)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(4, 40, (length,), generator=g)
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _block_outputs(model, ids):
    """Each block's output for one unpadded sample, in float64, without hooks: the blocks are run by hand."""
    with torch.inference_mode():
        if model.config.model_type == "bert":
            return [h[0].double() for h in model(input_ids=ids, output_hidden_states=True).hidden_states[1:]]
        hidden = model.embed_tokens(ids)
        positions = torch.arange(ids.shape[1])[None]
        rotary = model.rotary_emb(hidden, positions)
        causal = torch.full((1, 1, ids.shape[1], ids.shape[1]), float("-inf")).triu(1)
        found = []
        for block in model.layers:
            hidden = block(hidden, attention_mask=causal, position_ids=positions, position_embeddings=rotary)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            found.append(hidden[0].double())
        return found


POOL = {
    "mean": lambda h: h.mean(0),
    "last": lambda h: h[-1],
    "first": lambda h: h[0],
    "cls": lambda h: h[0],
    "mean_skip_first": lambda h: h[1:].mean(0),
}


@pytest.mark.parametrize("pooling", POOL)
def test_pooled_representations_are_the_blocks_outputs(model, inputs, pooling):
    found = extract(model, inputs, pooling=pooling, token_budget=30)
    assert list(found) == ["layer_0", "layer_1", "layer_2"]
    for row, length in enumerate(LENGTHS):
        for layer, hidden in enumerate(_block_outputs(model, inputs["input_ids"][row : row + 1, :length])):
            np.testing.assert_allclose(found[f"layer_{layer}"][row].double(), POOL[pooling](hidden), atol=2e-5)


def test_tokens_are_every_real_token_in_order(model, inputs):
    found = extract(model, inputs, pooling="tokens", token_budget=30)
    expected = [_block_outputs(model, inputs["input_ids"][row : row + 1, :n]) for row, n in enumerate(LENGTHS)]
    for layer in range(3):
        np.testing.assert_allclose(found[f"layer_{layer}"].double(), torch.cat([e[layer] for e in expected]), atol=2e-5)


def test_last_layer_is_before_the_final_norm(tiny_llama, inputs):
    model = load_backbone(resolve_model(str(tiny_llama)))
    last = extract(model, inputs, pooling="last")["layer_2"]
    with torch.inference_mode():
        normed = model(input_ids=inputs["input_ids"][:1, : LENGTHS[0]]).last_hidden_state[0, -1]
        assert torch.allclose(model.norm(last[0]), normed, atol=1e-5)
    assert not torch.allclose(last[0], normed, atol=1e-2)


def test_real_model_agrees_with_its_own_hidden_states():
    source = resolve_model("packaged:minilm")
    model = load_backbone(source)
    g = torch.Generator().manual_seed(1)
    ids = torch.randint(1000, 20000, (5, 12), generator=g)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    mask[3, 4:] = 0
    found = extract(model, {"input_ids": ids, "attention_mask": mask})
    with torch.inference_mode():
        reference = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    for layer in range(6):
        hidden = reference[layer + 1].double()
        expected = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        np.testing.assert_allclose(found[f"layer_{layer}"].double(), expected, atol=1e-5)
