"""The change of weights read from files, against the parameters in memory, for architectures that keep or name weights in their own way."""

from itertools import product

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers.pytorch_utils import Conv1D

from repdrift.models import is_linear, resolve_model
from repdrift.weights import WeightOptions, base_matrices, moved_weights
from tests.oracles.architectures import ARCHITECTURES, ENCODER_DECODERS, model_of
from tests.unit.weights.test_singular_subspaces import by_svd

UNUSUAL = ("gpt2", "mixtral", "xlnet", "deberta_v2_conv", "zamba2", "phi3")


def distance(before, after, prefix=""):
    """||dW|| over all parameters below `prefix`, in float64."""
    changes = [(after[n].detach().double() - before[n].double()).norm() for n in before if n.startswith(prefix)]
    return float(torch.stack(changes).norm())


def measured(folder, stack=None, options=None):
    base = base_matrices(resolve_model(str(folder / "base")), stack=stack)
    found = moved_weights(base, {"tuned": resolve_model(str(folder / "tuned"))}, options)
    assert not found.missing
    return found.models["tuned"]


def total(weights):
    return float(np.linalg.norm([at.change_norm for at in weights]))


def saved(name, folder):
    """The model in float32, and its parameters as they were saved."""
    model = model_of({**ARCHITECTURES, **ENCODER_DECODERS}[name]).float()
    model.save_pretrained(folder / "base")
    return model, {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("name", UNUSUAL)
def test_every_parameter_of_a_full_fine_tune_is_counted_once(name, tmp_path):
    model, before = saved(name, tmp_path)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(tmp_path / "tuned")
    found = measured(tmp_path)
    assert found.not_compared == []
    assert total(found.weights) == pytest.approx(distance(before, dict(model.named_parameters())), rel=1e-6)
    assert len({(at.layer, at.module) for at in found.weights}) == len(found.weights)


@pytest.mark.parametrize(("stack", "part"), [(None, ("encoder.", "shared.")), ("decoder", "")])
def test_half_of_an_encoder_decoder(stack, part, tmp_path):
    model, before = saved("bart", tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    model.save_pretrained(tmp_path / "tuned")
    found = measured(tmp_path, stack)
    after = dict(model.named_parameters())
    assert total(found.weights) == pytest.approx(distance(before, after, part), rel=1e-5)
    assert bool(found.not_compared) == (stack is None)


@pytest.mark.parametrize("name", UNUSUAL)
def test_lora_on_every_linear_layer_is_what_peft_merges(name, tmp_path):
    model, before = saved(name, tmp_path)
    targets = [path for path, module in model.named_modules() if is_linear(module)]
    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=targets, fan_in_fan_out=name == "gpt2"))
    for path, parameter in adapted.named_parameters():
        if "lora_B" in path:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(tmp_path / "tuned")
    found = measured(tmp_path)
    after = dict(adapted.merge_and_unload().named_parameters())
    assert total(found.weights) == pytest.approx(distance(before, after), rel=1e-5)
    assert {at.adapter_rank for at in found.weights} == {2}


@pytest.mark.parametrize(
    ("name", "stack"), [("gpt2", None), ("distilbert", None), *product(ENCODER_DECODERS, (None, "decoder"))]
)
def test_left_singular_vectors_are_those_of_the_outputs_in_every_matrix(name, stack, tmp_path):
    """Of an embedding, also one that two stacks share, an output is a feature and an input is a token, however it is stored."""
    model, before = saved(name, tmp_path)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                one, other = (torch.randn(size, 1, generator=generator) for size in parameter.shape)
                parameter.add_(2 * parameter.norm() * (one / one.norm()) @ (other / other.norm()).T)
                parameter.add_(0.1 * parameter.std() * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(tmp_path / "tuned")
    expected = {}
    for path, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            if parameter.ndim == 2:
                old, new = (x.detach().double().numpy() for x in (before.get(f"{path}.{own}", parameter), parameter))
                turned = isinstance(module, (torch.nn.Embedding, Conv1D))
                expected[round(float(np.linalg.norm(new - old)), 5)] = (old.T, new.T) if turned else (old, new)
    found = measured(tmp_path, stack, WeightOptions(leading=3))
    compared = [at for at in found.weights if at.alignment_left is not None and at.alignment_right is not None]
    assert {"embedding", "up", "down"} <= {at.kind for at in compared}
    for at in compared:
        left, right, intruders = by_svd(*expected[round(at.change_norm, 5)], k=at.k, limit=0.5)
        assert (at.alignment_left, at.alignment_right) == pytest.approx((left, right), abs=1e-6), at.module
        assert at.intruders == intruders, at.module
