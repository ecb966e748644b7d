"""Weights of a base model that an adapter's files, or its initialisation, replaced under the adapter."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repdrift.models.base_weights import tensor_under_adapters
from repdrift.models.model_files import ModelSource
from repdrift.weights.named_tensors import NamedTensor, NamedTensors, dtype_name, named_tensors
from repdrift.weights.weight_names import WeightName, match_names, own_name


@dataclass(frozen=True)
class ReplacedWeight:
    """One weight in the base model, in the precision of the model that carries the adapter, and in that model."""

    before: Tensor
    after: Tensor


def replaced_weights(
    base: ModelSource | nn.Module, backbone: nn.Module, blocks_path: str
) -> dict[WeightName, ReplacedWeight]:
    """The weights that differ between `base` and the model under the adapters of `backbone`.

    Raises ModelError if the files of `base` cannot be read, or the two have no weight in common.
    """
    before = named_tensors(base)
    after = NamedTensors(type(backbone).__name__, {n: _named(p) for n, p in _own_parameters(backbone).items()})
    names = match_names(before, after, blocks_path)
    found: dict[WeightName, ReplacedWeight] = {}
    for weight in names.base.backbone.keys() & names.tuned.backbone.keys():
        one, other = before.tensors[names.base.backbone[weight]], after.tensors[names.tuned.backbone[weight]]
        if None in (one.dtype, other.dtype) or one.shape != other.shape:
            continue
        now = other.read()
        then = one.read().detach().to(device=now.device, dtype=now.dtype)
        if not torch.equal(then, now):
            found[weight] = ReplacedWeight(then.clone(), now)
    return found


def _own_parameters(backbone: nn.Module) -> dict[str, Tensor]:
    """The base model's parameters under its adapters, by the name that they have without them."""
    found = {own_name(name): parameter for name, parameter in backbone.named_parameters()}
    return {name: p for name, p in found.items() if tensor_under_adapters(backbone, name) is p}


def _named(parameter: Tensor) -> NamedTensor:
    return NamedTensor(tuple(parameter.shape), dtype_name(parameter), parameter.detach)
