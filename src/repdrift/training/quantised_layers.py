"""Linear layers in 4 bits (NF4, bitsandbytes) under an adapter that trains: QLoRA, Dettmers et al. 2023.

The linear layers of the blocks are quantised and nothing else: embeddings, normalisation, biases, pooler and heads stay as they are.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import MissingDependencyError, ModelError
from repdrift.core.process_group import device
from repdrift.core.records.quantised_base import QuantisedBase
from repdrift.models import find_blocks, headless, is_linear
from repdrift.models.four_bit_weights import four_bit_weight, keep_as_stored

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def require_bitsandbytes() -> None:
    """Raises MissingDependencyError if bitsandbytes is not installed."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError.of("bitsandbytes", "qlora", "base_bits: 4")


def quantise_blocks(model: nn.Module, *, double: bool, compute_dtype: str) -> QuantisedBase:
    """Put 4-bit layers in place of the linear layers in the blocks of `model`, one at a time, on the device that trains.

    double: keep the scales in 8 bits. compute_dtype: `float32` or `bfloat16`, that of the products; biases take it too. On a model without numbers
    (the meta device) the layers keep the shapes of their full weights.
    Raises ModelError if the model is quantised already, or no block has a linear layer whose weight is used by that layer alone.
    """
    require_bitsandbytes()
    config = getattr(model, "config", None)
    if getattr(config, "quantization_config", None) is not None:
        raise ModelError(
            "base_bits: 4 quantises a model in full precision, and the weights of this one are quantised already. Give the base model as it was "
            "before that, or leave base_bits out."
        )
    places: dict[nn.Module, list[tuple[nn.Module, str]]] = {}  # a block that runs several times has each layer once
    for parent, name, layer in _linear_layers(model):
        places.setdefault(layer, []).append((parent, name))
    made: list[Any] = []
    moved = full = 0.0
    while places:  # each full weight is let go before the next one is looked at
        layer, where = places.popitem()
        new = _like(layer, double, _DTYPES[compute_dtype])
        made.append(new)
        if not new.weight.is_meta:
            before, after = _weight(layer).float(), four_bit_weight(new)
            moved += float((after.to(before.device) - before).double().square().sum())
            full += float(before.double().square().sum())
        for parent, name in where:
            setattr(parent, name, new)
    if not made:
        raise ModelError(
            f"no block of {type(headless(model)).__name__} has a linear layer that can be kept in 4 bits. Leave base_bits out."
        )
    vars(model)["is_loaded_in_4bit"] = True  # peft asks for it before it adapts such layers
    return QuantisedBase(
        double_quantisation=double,
        compute_dtype=compute_dtype,
        matrices=len(made),
        parameters=sum(layer.in_features * layer.out_features for layer in made),
        rounding=math.sqrt(moved / full) if full > 0 else None,
    )


def numbers_of(model: nn.Module) -> dict[int, int]:
    """The numbers that each packed weight of `model` stands for, by the identity of the parameter."""
    return {
        id(layer.weight): layer.in_features * layer.out_features
        for layer in four_bit_layers(model)
        if layer.weight.dtype == torch.uint8
    }


def statistics_of(model: nn.Module) -> list[Tensor]:
    """The tensors beside the packed weights of `model`: scales and tables, which are neither parameters nor buffers."""
    found: list[Tensor] = []
    for layer in four_bit_layers(model):
        state = getattr(layer.weight, "quant_state", None)
        for part in (state, getattr(state, "state2", None)):
            found += [
                value for name in ("absmax", "code", "offset") if isinstance(value := getattr(part, name, None), Tensor)
            ]
    return found


def packed_weights(model: nn.Module) -> Iterator[Tensor]:
    """Every 4-bit weight of `model`, packed, followed by its scales."""
    for layer in four_bit_layers(model):
        yield layer.weight.data
        yield from statistics_of(layer)


def _library(part: str) -> Any:
    return importlib.import_module(f"bitsandbytes.{part}")


def _linear_layers(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Parent, name in it and layer, for each linear layer of the blocks.

    A subclass is left as it is: its parent may read the weight by itself, as torch's own attention does.
    """
    for block in find_blocks(headless(model)).modules:
        for parent in block.modules():
            for name, layer in parent.named_children():
                if is_linear(layer) and (type(layer) is nn.Linear or not isinstance(layer, nn.Linear)):
                    yield parent, name, layer


def four_bit_layers(model: nn.Module) -> list[Any]:
    """The layers of `model` that `quantise_blocks` made."""
    return [
        module
        for module in model.modules()
        if type(module).__name__ == "Linear4bit" and hasattr(module, "double_quantisation")
    ]


def _weight(layer: Any) -> Tensor:
    """The weight (outputs, inputs), whichever way round the layer keeps it."""
    weight = layer.weight.data
    return weight if isinstance(layer, nn.Linear) else weight.T


def _like(layer: Any, double: bool, compute_dtype: torch.dtype) -> Any:
    weight = _weight(layer)
    with torch.device("meta"):
        new: Any = _library("nn").Linear4bit(
            weight.shape[1], weight.shape[0], bias=layer.bias is not None, compute_dtype=compute_dtype
        )
    new.double_quantisation = double
    new.bias = layer.bias
    if new.bias is not None:
        new.bias.requires_grad_(False)
    new.training = layer.training
    keep_as_stored(new)
    new.weight = _quantised(new, weight, weight.device if weight.is_meta else device(), double=double)
    return new


def _quantised(layer: Any, weight: Tensor, place: torch.device, *, double: bool) -> Any:
    parameter = _library("nn").Params4bit(
        weight.contiguous(), requires_grad=False, compress_statistics=double, quant_type="nf4", module=layer
    )
    return parameter.to(place)
