"""The size-matched random change: every weight that training moved is moved by noise of the same norm instead."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import ModuleChange
from repdrift.models.backbone import Stack, backbone_of
from repdrift.models.block_search import find_blocks
from repdrift.weights.spectrum import frobenius_norm
from repdrift.weights.weight_names import WeightName, own_name

_NORM_TOLERANCE = 0.01
"""How far rounding to the model's precision may move the norm, relative to it; in practice float32 stays below 1e-4."""


@dataclass(frozen=True)
class AppliedChange:
    """One parameter that was moved: its name in the model, the norm that was asked for, and the norm that arrived."""

    parameter: str
    change_norm: float
    applied_norm: float


def apply_random_change(
    model: nn.Module,
    changes: Sequence[ModuleChange],
    seed: int,
    *,
    blocks_path: str | None = None,
    stack: Stack | None = None,
) -> list[AppliedChange]:
    """Add Gaussian noise of norm `change_norm` to every changed weight of `model`, in place; touch nothing else.

    model: the loaded base model, with or without head; under an adapter the base weight is moved. changes: those of a full
    fine-tune or an adapter; a change of norm 0 is passed over, and vectors (biases, gains) are moved like matrices.
    blocks_path, stack: as for `find_blocks`. The noise has full rank. The noise of a weight depends only on `seed` and
    the weight's name, not on the other changes, the device or the order. Returns a record of each weight that was moved.
    Raises ModelError before anything is moved if a weight is not in the model, is named twice, holds no floats, or is on no
    device. Also raises ModelError if the model's precision is too coarse for the noise: then the model is spoilt and
    must be loaded again.
    """
    backbone = backbone_of(model, stack)
    path = find_blocks(backbone, path=blocks_path, stack=stack).path
    targets = _targets(backbone, path, [change for change in changes if change.change_norm > 0.0])
    applied: list[AppliedChange] = []
    with torch.no_grad():
        for target in targets:
            name, parameter, change = target.name, target.parameter, target.change
            noise = _noise(parameter, change, seed)
            before = parameter.detach().clone()
            parameter.add_(noise.to(device=parameter.device))
            arrived = frobenius_norm(parameter.to(noise.dtype) - before.to(noise.dtype))
            if abs(arrived - change.change_norm) > _NORM_TOLERANCE * change.change_norm:
                raise ModelError(
                    f"{name}: noise of norm {change.change_norm:.3g} came out as {arrived:.3g} after rounding to "
                    f"{str(parameter.dtype).removeprefix('torch.')}, which is too coarse for it. Load the model in float32."
                )
            applied.append(AppliedChange(name, change.change_norm, arrived))
    return applied


@dataclass(frozen=True)
class _Target:
    """A change, and the parameter of the model that is to be moved by as much."""

    change: ModuleChange
    name: str
    parameter: nn.Parameter


def _targets(backbone: nn.Module, path: str, changes: Sequence[ModuleChange]) -> list[_Target]:
    # Tied parameters under each of their names; those under an adapter without what peft adds to their names.
    in_model = dict(backbone.named_parameters(remove_duplicate=False))
    parameters = {own_name(name): (name, parameter) for name, parameter in in_model.items()}
    targets: list[_Target] = []
    names: dict[int, str] = {}
    for change in changes:
        weight = WeightName(change.layer, change.module)
        name = weight.name if weight.layer is None else f"{path}.{weight.layer}.{weight.name}"
        if name not in parameters:
            raise ModelError(
                f"{weight} is not in {type(backbone).__name__}, whose blocks are {path!r}: these changes are of another model. Give those of a run that started from this one."
            )
        name, parameter = parameters[name]
        if id(parameter) in names:
            raise ModelError(
                f"{names[id(parameter)]} and {name} are one parameter, which would be moved twice. Leave one change out."
            )
        if not parameter.is_floating_point() or parameter.is_meta:
            raise ModelError(
                f"{name} cannot be moved: it holds {parameter.dtype} on {parameter.device}. Load the model with its weights, in floating point."
            )
        names[id(parameter)] = name
        targets.append(_Target(change, name, parameter))
    return targets


def _noise(parameter: Tensor, change: ModuleChange, seed: int) -> Tensor:
    """Noise of the parameter's shape and exactly the change's norm, on the CPU, in float32 at least."""
    text = f"{seed}\0{change.layer}\0{change.module}".encode()
    generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1)
    wide = torch.float64 if parameter.dtype == torch.float64 else torch.float32
    noise = torch.randn(parameter.shape, generator=generator, dtype=wide)
    return noise.mul_(change.change_norm / frobenius_norm(noise))
