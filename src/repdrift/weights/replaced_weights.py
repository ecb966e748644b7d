"""Weights of a base model that an adapter's files, or its initialisation, replaced under the adapter."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from repdrift.models.base_weights import tensor_under_adapters
from repdrift.models.model_files import ModelSource
from repdrift.weights.named_tensors import NamedTensor, NamedTensors, dtype_name, named_tensors
from repdrift.weights.weight_names import WeightName, match_names, own_name
from repdrift.weights.weight_pairs import CommonRows, common_rows


@dataclass(frozen=True)
class ReplacedWeight:
    """One weight in the base model, in the precision of the model that carries the adapter, and in that model.

    Of an embedding with another number of rows, both are the rows that both models have.
    """

    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class ReplacedWeights:
    """The weights that differ between a base model and the model under adapters, and the weights of another number of rows."""

    weights: dict[WeightName, ReplacedWeight] = field(default_factory=dict)
    resized: dict[WeightName, CommonRows] = field(default_factory=dict)


def replaced_weights(base: ModelSource | nn.Module, backbone: nn.Module, blocks_path: str) -> ReplacedWeights:
    """Compares the weights of `base` with those of the model under the adapters of `backbone`.

    Raises ModelError if the files of `base` cannot be read, or the two have no weight in common.
    """
    before = named_tensors(base)
    after = NamedTensors(type(backbone).__name__, {n: _named(p) for n, p in _own_parameters(backbone).items()})
    names = match_names(before, after, blocks_path)
    found = ReplacedWeights()
    for weight in names.base.backbone.keys() & names.tuned.backbone.keys():
        one, other = before.tensors[names.base.backbone[weight]], after.tensors[names.tuned.backbone[weight]]
        rows = common_rows(weight, one, other)
        if None in (one.dtype, other.dtype) or (rows is None and one.shape != other.shape):
            continue
        if rows is not None:
            found.resized[weight] = rows
        now = other.read()[: rows and rows.common]
        then = one.read().detach().to(device=now.device, dtype=now.dtype)[: rows and rows.common]
        if not torch.equal(then, now):
            found.weights[weight] = ReplacedWeight(then.clone(), now)
    return found


def _own_parameters(backbone: nn.Module) -> dict[str, Tensor]:
    """The base model's parameters under its adapters, by the name that they have without them."""
    found = {own_name(name): parameter for name, parameter in backbone.named_parameters()}
    return {name: p for name, p in found.items() if tensor_under_adapters(backbone, name) is p}


def _named(parameter: Tensor) -> NamedTensor:
    return NamedTensor(tuple(parameter.shape), dtype_name(parameter), parameter.detach)
