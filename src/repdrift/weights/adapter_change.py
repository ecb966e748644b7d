"""The change that an adapter of any kind makes to the weights of its backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import ModuleChange, Stack
from repdrift.core.words import counted
from repdrift.models.adapter_files import initialisation_changes_base
from repdrift.models.backbone import backbone_of
from repdrift.models.block_search import find_blocks
from repdrift.models.learned_prompt import learned_prompt_of
from repdrift.models.model_files import ModelSource
from repdrift.weights.lora_change import lora_change
from repdrift.weights.lora_factors import has_more_than_factors, lora_factors, reason_without_factors
from repdrift.weights.merged_change import merged_module
from repdrift.weights.replaced_weights import ReplacedWeight, own_name, replaced_weights
from repdrift.weights.weight_comparison import WeightComparison, dense_change, outside_backbone
from repdrift.weights.weight_names import WeightName, in_order

CANNOT_MERGE = "which peft cannot merge"
"""Words in a line of `not_compared` on a module whose change is not known."""


def compare_adapter(
    model: nn.Module,
    *,
    blocks_path: str | None = None,
    stack: Stack | None = None,
    base: ModelSource | nn.Module | None = None,
) -> WeightComparison:
    """The change that an adapter makes to every weight of the backbone of `model`, which carries it unmerged.

    model: a model of peft, or a backbone into which an adapter was injected. Active adapters count; where a module has
    several, their changes are summed. blocks_path, stack: as for `find_blocks`. base: the base model, where the adapter's
    files may have replaced weights of it (an embedding saved whole, biases) or its initialisation changes them; its weights
    are read and compared. None where `model` is known to hold the base model's own weights.
    Plain LoRA is compared from its matrices; every other kind through what merging would add to each weight. Parts of the
    backbone that were trained whole (`modules_to_save`) are compared too. What cannot be compared, and modules outside the
    backbone (heads), are listed with the reason.
    Raises ModelError if the backbone holds no adapter, or a merged one, or nothing of it can be compared; NonFiniteError
    naming the weight.
    """
    if (prompt := learned_prompt_of(model)) is not None:
        raise ModelError(changes_no_weight(prompt.tokens))
    backbone = backbone_of(model, stack)
    path = find_blocks(backbone, path=blocks_path, stack=stack).path
    found = _Found({} if base is None else replaced_weights(base, backbone, path))
    for name, module in backbone.named_modules():
        found.add(_module_name(name, path), module)
    found.add_replaced()
    inside = {id(module) for module in backbone.modules()}
    heads = [name for name, m in model.named_modules() if id(m) not in inside and isinstance(m, _trained_kinds())]
    found.not_compared += outside_backbone(heads)
    if base is None:
        found.not_compared += _not_covered_by_configs(model)
    if not found.changes:
        listed = f" Not covered: {'; '.join(found.not_compared[:3])}." if found.not_compared else ""
        raise ModelError(
            f"no adapter that can be compared in {type(backbone).__name__}: this is the base model, the adapter was merged, or "
            f"it changes no weight.{listed}"
        )
    return WeightComparison([found.changes[weight] for weight in in_order(found.changes)], found.not_compared)


def changes_no_weight(virtual_tokens: int) -> str:
    """Says why a learned prompt of so many tokens has neither a change of the weights nor a random change of the same size."""
    return (
        f"it is a learned prompt ({counted(virtual_tokens, 'virtual token')}), which changes no weight: there is no change of weights to "
        "measure, and no random change of the same size"
    )


@dataclass
class _Found:
    """The changes and the lines of `not_compared` that were collected so far.

    replaced: the base model's weights that are others in the model, apart from what its adapters add.
    """

    replaced: dict[WeightName, ReplacedWeight]
    changes: dict[WeightName, ModuleChange] = field(default_factory=dict)
    not_compared: list[str] = field(default_factory=list)

    def add(self, name: WeightName, module: nn.Module) -> None:
        from peft.tuners.lora.layer import LoraLayer
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils.other import ModulesToSaveWrapper

        if isinstance(module, BaseTunerLayer):
            if module.merged_adapters:  # pyright: ignore[reportAttributeAccessIssue]
                raise ModelError(
                    f"{name}: the adapter {module.merged_adapters[0]!r} is merged into the base weight. Load it unmerged."  # pyright: ignore[reportAttributeAccessIssue]
                )
            if isinstance(module, LoraLayer):
                self._add_lora(name, module)
            else:
                self._add_merged(name, module, module.active_adapters)
        elif isinstance(module, ModulesToSaveWrapper):
            for change in _saved_changes(name, module):
                self.changes[WeightName(change.layer, change.module)] = change

    def add_replaced(self) -> None:
        """Adds the weights of the base model that were replaced and that no adapter changes besides."""
        for weight, at in self.replaced.items():
            if weight not in self.changes:
                self.changes[weight] = dense_change(weight, at.before, at.after)

    def _add_lora(self, name: WeightName, module: Any) -> None:
        adapters = [adapter for adapter in module.active_adapters if adapter in module.r]
        if not adapters:
            return
        if reason_without_factors(module, adapters) or has_more_than_factors(module, adapters):
            self._add_merged(name, module, adapters)
            return
        factors = lora_factors(module, adapters)
        weight = WeightName(name.layer, f"{name.name}.{factors.parameter}")
        if weight in self.replaced:
            self._add_merged(name, module, adapters)
            return
        scaling = [float(module.scaling[adapter]) for adapter in adapters]
        self.changes[weight] = lora_change(weight, factors, scaling)

    def _add_merged(self, name: WeightName, module: Any, adapters: list[str]) -> None:
        found = merged_module(module, adapters)
        kind = f"{type(module).__module__.split('.')[-2]}.{type(module).__name__}"
        if found.missing is not None:
            self.not_compared.append(f"{name}: changed by {kind}, {CANNOT_MERGE}: {found.missing}")
        for parameter, at in found.weights.items():
            weight = WeightName(name.layer, f"{name.name}.{parameter}")
            before = self.replaced[weight].before if weight in self.replaced else at.before
            self.changes[weight] = dense_change(weight, before, at.after)


def _saved_changes(name: WeightName, module: Any) -> Iterator[ModuleChange]:
    for adapter in (a for a in module.active_adapters if a in module.modules_to_save):
        trained = dict(module.modules_to_save[adapter].named_parameters())
        for inner, before in module.original_module.named_parameters():
            yield dense_change(WeightName(name.layer, f"{name.name}.{inner}"), before, trained[inner])


def _module_name(name: str, blocks_path: str) -> WeightName:
    name = own_name(name)
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
