"""Checksums of a base model under its adapters: whatever is written to it, in whatever way, is named."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from repdrift.models.base_weights import BaseWeights, checksum, name_under_adapters, tensor_under_adapters


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.proj = nn.Linear(4, 4)
        self.register_buffer("running_mean", torch.zeros(2))
        self.register_buffer("frequencies", torch.arange(3.0), persistent=False)

    def forward(self, x):
        return self.proj(self.embed(x))


@pytest.fixture
def adapted():
    torch.manual_seed(0)
    model = Part()
    weights = BaseWeights(model)
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["proj", "embed"]), model)
    return model, weights


def test_adapters_that_are_put_on_change_nothing(adapted):
    model, weights = adapted
    assert weights.changed() == []
    assert weights.tensors().keys() == {"embed.weight", "proj.weight", "proj.bias", "running_mean", "frequencies"}
    assert tensor_under_adapters(model, "proj.weight") is model.proj.base_layer.weight
    assert name_under_adapters(model, "base_model.model.x.proj.base_layer.weight") == "proj.weight"
    assert name_under_adapters(model, "base_model.model.x.proj.lora_A.weight") is None


def one_bit(weight):
    weight.view(torch.int32)[1, 2] ^= 1


def two_rows_swapped(weight):
    weight.copy_(weight[[1, 0, *range(2, len(weight))]])


def sign_of_zero(weight):
    weight.view(torch.int32)[0, 0] ^= -(2**31)


@pytest.mark.parametrize("write", [one_bit, two_rows_swapped, sign_of_zero])
@pytest.mark.parametrize("name", ["proj", "embed"])
def test_every_write_through_data_is_found(adapted, write, name):
    model, weights = adapted
    write(model.get_submodule(name).base_layer.weight.data)
    assert weights.changed() == [f"{name}.weight"]


def test_a_parameter_that_was_replaced_or_is_gone_is_found(adapted):
    model, weights = adapted
    model.proj.base_layer.bias = nn.Parameter(model.proj.base_layer.bias + 1)
    del model.embed
    assert weights.changed() == ["embed.weight", "proj.bias"]


def test_buffers_that_a_model_rewrites_can_be_left_out(adapted):
    model, weights = adapted
    model.frequencies.mul_(2)
    assert weights.changed() == ["frequencies"]
    assert weights.changed(passing=False) == []
    model.running_mean.add_(1)
    assert weights.changed(passing=False) == ["running_mean"]


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool]
)
def test_checksum_is_of_the_values_whatever_the_layout(dtype):
    values = (torch.randn(6, 5, generator=torch.Generator().manual_seed(1)) * 3).to(dtype)
    assert checksum(values.t()) == checksum(values.t().contiguous())
    assert checksum(values) != checksum(values + 1 if dtype is not torch.bool else ~values)
    assert checksum(torch.empty(3, device="meta")) == checksum(torch.empty(0)) == 0
