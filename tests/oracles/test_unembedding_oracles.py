"""An unembedding run by itself gives the logits of the whole model, in every architecture; its derivative is that of differences, and Llama's in closed form."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from repdrift.core.errors import RepdriftError
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.models import find_blocks
from tests.oracles.architectures import VOCABULARY, model_of
from tests.oracles.test_output_head_oracles import CAUSAL, FAMILIES, MASKED

NOT_READ = {"xlnet", "squeezebert"}
WHOLE = [(n, AutoModelForCausalLM) for n in CAUSAL if n not in MASKED] + [(n, AutoModelForMaskedLM) for n in MASKED]


def unembedding_of(model):
    taken = copy.deepcopy(model)
    return Unembedding(taken, find_blocks(taken))


@pytest.mark.parametrize(
    ("name", "auto_class"),
    [of for of in WHOLE if of[0] not in NOT_READ],
    ids=[n for n, _ in WHOLE if n not in NOT_READ],
)
def test_logits_of_states_after_the_last_block_are_the_models_own_and_the_derivative_is_theirs(name, auto_class):
    model = model_of(FAMILIES[name], auto_class).float().eval()
    ids = torch.randint(3, VOCABULARY, (5, 1), generator=torch.Generator().manual_seed(3))
    blocks, states = find_blocks(model), []
    with torch.no_grad(), capture_hidden_states(blocks, [len(blocks) - 1], lambda _, hidden: states.append(hidden)):
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids))
    expected = output.logits if "logits" in output else output.prediction_logits
    unembedding = unembedding_of(model)
    torch.testing.assert_close(unembedding.logits(states[0][:, 0]), expected[:, 0], rtol=1e-4, atol=1e-4)
    at, direction = states[0][0, 0], torch.randn(states[0].shape[-1], generator=torch.Generator().manual_seed(4))
    step = 1e-2 * at.norm() / direction.norm()
    up, down = unembedding.logits(torch.stack([at + step * direction, at - step * direction]))
    found = unembedding.derivatives(at, torch.stack([direction, -2 * direction]))
    difference = (up - down) / (2 * step)
    assert float((found[0] - difference).norm()) < 0.03 * float(difference.norm())
    torch.testing.assert_close(found[1], -2 * found[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "auto_class", "said"),
    [("xlnet", AutoModelForCausalLM, "not of shape"), ("squeezebert", AutoModelForMaskedLM, "was not run")],
)
def test_model_whose_states_cannot_be_put_in_is_refused_with_the_reason(name, auto_class, said):
    with pytest.raises(RepdriftError, match=said):
        unembedding_of(model_of(FAMILIES[name], auto_class).float().eval())


def test_derivative_of_a_llama_is_the_closed_form():
    model = model_of(FAMILIES["llama"], AutoModelForCausalLM).float().eval()
    unembedding = unembedding_of(model)
    g = torch.Generator().manual_seed(5)
    at, direction = torch.randn(16, generator=g), torch.randn(16, generator=g)
    norm, head = model.model.norm, model.lm_head.weight.double()
    h, d = at.double(), direction.double()
    scale = (h.square().mean() + norm.variance_epsilon).sqrt()
    expected = head @ (norm.weight.double() * (d - h * (h @ d) / (16 * scale.square())) / scale)
    torch.testing.assert_close(unembedding.derivatives(at, direction[None])[0].double(), expected, rtol=1e-4, atol=1e-5)
    logits = head @ (norm.weight.double() * h / scale)
    torch.testing.assert_close(unembedding.logits(at[None])[0].double(), logits, rtol=1e-4, atol=1e-5)


def test_weights_of_the_blocks_are_let_go():
    model = model_of(FAMILIES["llama"], AutoModelForCausalLM).float().eval()
    Unembedding(model, find_blocks(model))
    assert all(parameter.is_meta for parameter in model.model.layers.parameters())
    assert not model.lm_head.weight.is_meta
