"""The change that LoRA makes to every adapted weight, and how much of its rank is used; from A and B, without forming B A."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from repdrift.core.errors import ModelError, NonFiniteError
from repdrift.core.records.representation_set import ModuleChange, Stack
from repdrift.models.adapter_files import initialisation_changes_base
from repdrift.models.backbone import backbone_of
from repdrift.models.block_search import find_blocks
from repdrift.weights.lora_factors import LoraFactors, lora_factors, not_covered, reason_without_factors
from repdrift.weights.spectrum import (
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    stable_rank,
)
from repdrift.weights.weight_comparison import WeightComparison, dense_change, outside_backbone, relative_change
from repdrift.weights.weight_names import WeightName, in_order


def compare_adapter(
    model: nn.Module, *, blocks_path: str | None = None, stack: Stack | None = None
) -> WeightComparison:
    """The change that LoRA makes to every weight it adapts in the backbone of `model`, which carries it unmerged.

    model: a model of peft, or a backbone into which LoRA was injected. Active adapters count; where a module has several,
    their changes are summed. blocks_path, stack: as for `find_blocks`. Parts of the backbone that were trained whole
    (`modules_to_save`) are compared too.
    The numbers leave out what peft adds beyond scaling * B A (DoRA's magnitude, biases): a change's `note`, or the list of
    what was not compared, says so. Modules outside the backbone (heads) are in that list.
    Raises ModelError if the backbone holds no LoRA or a merged one; NonFiniteError naming the weight.
    """
    backbone = backbone_of(model, stack)
    path = find_blocks(backbone, path=blocks_path, stack=stack).path
    found = _Found()
    for name, module in backbone.named_modules():
        found.add(_module_name(name, path), module)
    inside = {id(module) for module in backbone.modules()}
    heads = [name for name, m in model.named_modules() if id(m) not in inside and isinstance(m, _trained_kinds())]
    found.not_compared += outside_backbone(heads)
    found.not_compared += _not_covered_by_configs(model)
    if not any(change.rank is not None for change in found.changes.values()):
        listed = f" Not covered: {'; '.join(found.not_compared[:3])}." if found.not_compared else ""
        raise ModelError(
            f"no LoRA matrices in {type(backbone).__name__}: this is the base model, the adapter was merged, or it is of "
            f"another kind.{listed}"
        )
    return WeightComparison([found.changes[weight] for weight in in_order(found.changes)], found.not_compared)


def lora_change(
    weight: WeightName, factors: LoraFactors, scaling: Sequence[float], note: str | None = None
) -> ModuleChange:
    """The change of one adapted weight by the sum of scaling_i * B_i A_i.

    Several adapters are one of rank sum r_i: [s_1 B_1, ...] [A_1; ...]. scaling: one number for each adapter.
    Raises NonFiniteError naming the weight.
    """
    stacked_a = torch.cat([x.detach().double().cpu() for x in factors.a])
    scaled_b = [s * x.detach().double().cpu() for s, x in zip(scaling, factors.b, strict=True)]
    try:
        norm = frobenius_norm(factors.weight)
        values = low_rank_singular_values(stacked_a, torch.cat(scaled_b, dim=1))
    except NonFiniteError as error:
        raise NonFiniteError(f"{weight}: {error}") from error
    change_norm = float(torch.linalg.vector_norm(values))
    return ModuleChange(
        layer=weight.layer,
        module=weight.name,
        norm=norm,
        change_norm=change_norm,
        relative_change=relative_change(change_norm, norm),
        stable_rank=stable_rank(change_norm, float(values[0])),
        rank=int(stacked_a.shape[0]),
        scaling=scaling[0] if len(set(scaling)) == 1 else None,
        effective_rank=effective_rank(values),
        rank_utilisation=rank_utilisation(values),
        note=note,
    )


@dataclass
class _Found:
    """The changes and the lines of `not_compared` that were collected so far."""

    changes: dict[WeightName, ModuleChange] = field(default_factory=dict)
    not_compared: list[str] = field(default_factory=list)

    def add(self, name: WeightName, module: nn.Module) -> None:
        from peft.tuners.lora.layer import LoraLayer
        from peft.utils.other import ModulesToSaveWrapper

        if isinstance(module, LoraLayer):
            self._add_lora(name, module)
        elif isinstance(module, ModulesToSaveWrapper):
            for change in _saved_changes(name, module):
                self.changes[WeightName(change.layer, change.module)] = change
        elif isinstance(module, _trained_kinds()):
            kind = f"{type(module).__module__.split('.')[-2]}.{type(module).__name__}"
            self.not_compared.append(f"{name}: changed by {kind}, which is not LoRA")

    def _add_lora(self, name: WeightName, module: Any) -> None:
        if module.merged_adapters:
            raise ModelError(
                f"{name}: the adapter {module.merged_adapters[0]!r} is merged into the base weight. Load it unmerged."
            )
        adapters = [adapter for adapter in module.active_adapters if adapter in module.r]
        if not adapters:
            return
        if reason := reason_without_factors(module, adapters):
            self.not_compared.append(f"{name}: {reason}")
            return
        factors = lora_factors(module, adapters)
        weight = WeightName(name.layer, f"{name.name}.{factors.parameter}")
        scaling = [float(module.scaling[adapter]) for adapter in adapters]
        self.changes[weight] = lora_change(weight, factors, scaling, not_covered(module, adapters))


def _saved_changes(name: WeightName, module: Any) -> Iterator[ModuleChange]:
    for adapter in (a for a in module.active_adapters if a in module.modules_to_save):
        trained = dict(module.modules_to_save[adapter].named_parameters())
        for inner, before in module.original_module.named_parameters():
            yield dense_change(WeightName(name.layer, f"{name.name}.{inner}"), before, trained[inner])


def _module_name(name: str, blocks_path: str) -> WeightName:
    name = ".".join(part for part in name.split(".") if part != "base_layer")  # wrappers inside wrappers
    number, _, rest = name.removeprefix(f"{blocks_path}.").partition(".")
    if name.startswith(f"{blocks_path}.") and number.isdecimal():
        return WeightName(int(number), rest)
    return WeightName(None, name)


def _trained_kinds() -> tuple[type, ...]:
    """The classes of peft that hold trained parameters."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return BaseTunerLayer, AuxiliaryTrainingWrapper


def _not_covered_by_configs(model: nn.Module) -> Iterator[str]:
    configs = getattr(model, "peft_config", None)
    for name, config in (configs or {}).items():  # pyright: ignore[reportAttributeAccessIssue]
        if getattr(config, "bias", "none") != "none":
            yield f"biases: trained by adapter {name!r} (bias={config.bias!r}), not covered"
        start = getattr(config, "init_lora_weights", True)
        if initialisation_changes_base(start):
            yield f"all adapted weights: adapter {name!r} was initialised by {start!r}, which may change the base weights too"
