"""The weights that an adapter on a model changes, one at a time: as the factors of LoRA, or before and after merging."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import Stack
from repdrift.core.words import counted
from repdrift.models.adapter_files import initialisation_changes_base
from repdrift.models.backbone import backbone_of
from repdrift.models.block_search import find_blocks
from repdrift.models.learned_prompt import learned_prompt_of
from repdrift.models.model_files import ModelSource
from repdrift.weights.lora_factors import LoraFactors, has_more_than_factors, lora_factors, reason_without_factors
from repdrift.weights.merged_change import MergedWeight, merged_module
from repdrift.weights.replaced_weights import ReplacedWeights, replaced_weights
from repdrift.weights.weight_comparison import outside_backbone
from repdrift.weights.weight_names import WeightName, weight_name

CANNOT_MERGE = "which peft cannot merge"
"""Words in a line of `not_compared` on a module whose change is not known."""


@dataclass(frozen=True)
class AdaptedWeight:
    """One weight that an adapter changes: `factors` with a scaling for each adapter, or `merged`.

    again: makes `merged` once more, for a caller who does not keep it.
    """

    name: WeightName
    factors: LoraFactors | None = None
    scaling: tuple[float, ...] = ()
    merged: MergedWeight | None = None
    again: Callable[[], MergedWeight] | None = None


class AdaptedWeights:
    """Iterates over the weights that the adapters of a model change; `not_compared` is whole when that has ended.

    A weight may come twice, and the later one holds. blocks_path: the name of the list of blocks inside the backbone. notes: a
    line for each weight of which the rows that base and adapted model share are compared.
    """

    def __init__(
        self, model: nn.Module, backbone: nn.Module, blocks_path: str, base: ModelSource | nn.Module | None
    ) -> None:
        self.blocks_path = blocks_path
        self.not_compared: list[str] = []
        self._model = model
        self._backbone = backbone
        self._knows_base = base is not None
        found = ReplacedWeights() if base is None else replaced_weights(base, backbone, blocks_path)
        self._replaced, self._resized = found.weights, found.resized
        self.notes = [rows.note(str(weight)) for weight, rows in found.resized.items()]

    def __iter__(self) -> Iterator[AdaptedWeight]:
        """Yields the weights in the model's order, and then those of the base model that were replaced whole."""
        self.not_compared.clear()
        seen: set[WeightName] = set()
        for name, module in self._backbone.named_modules():
            for found in self._of_module(weight_name(name, self.blocks_path), module):
                seen.add(found.name)
                yield found
        for weight, at in self._replaced.items():
            if weight not in seen:
                yield _known(weight, MergedWeight(at.before, at.after))
        inside = {id(module) for module in self._backbone.modules()}
        heads = [n for n, m in self._model.named_modules() if id(m) not in inside and isinstance(m, _trained_kinds())]
        self.not_compared += outside_backbone(heads)
        if not self._knows_base:
            self.not_compared += _not_covered_by_configs(self._model)

    def _of_module(self, name: WeightName, module: nn.Module) -> Iterator[AdaptedWeight]:
        from peft.tuners.lora.layer import LoraLayer
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils.other import ModulesToSaveWrapper

        if isinstance(module, BaseTunerLayer):
            if module.merged_adapters:  # pyright: ignore[reportAttributeAccessIssue]
                raise ModelError(
                    f"{name}: the adapter {module.merged_adapters[0]!r} is merged into the base weight. Load it unmerged."  # pyright: ignore[reportAttributeAccessIssue]
                )
            if isinstance(module, LoraLayer):
                yield from self._lora(name, module)
            else:
                yield from self._merged(name, module, module.active_adapters)
        elif isinstance(module, ModulesToSaveWrapper):
            for found in _saved(name, module):
                yield self._cut(found) if found.name in self._resized else found

    def _lora(self, name: WeightName, module: Any) -> Iterator[AdaptedWeight]:
        adapters = [adapter for adapter in module.active_adapters if adapter in module.r]
        if not adapters:
            return
        if reason_without_factors(module, adapters) or has_more_than_factors(module, adapters):
            yield from self._merged(name, module, adapters)
            return
        factors = lora_factors(module, adapters)
        weight = WeightName(name.layer, f"{name.name}.{factors.parameter}")
        if weight in self._replaced or weight in self._resized:
            yield from self._merged(name, module, adapters)
            return
        yield AdaptedWeight(weight, factors, tuple(float(module.scaling[adapter]) for adapter in adapters))

    def _merged(self, name: WeightName, module: Any, adapters: list[str]) -> Iterator[AdaptedWeight]:
        found = merged_module(module, adapters)
        kind = f"{type(module).__module__.split('.')[-2]}.{type(module).__name__}"
        if found.missing is not None:
            self.not_compared.append(f"{name}: changed by {kind}, {CANNOT_MERGE}: {found.missing}")
        for parameter, at in found.weights.items():
            weight = WeightName(name.layer, f"{name.name}.{parameter}")
            again = partial(self._merged_again, weight, module, adapters, parameter)
            yield AdaptedWeight(weight, merged=self._since_base(weight, at), again=again)

    def _merged_again(self, weight: WeightName, module: Any, adapters: list[str], parameter: str) -> MergedWeight:
        return self._since_base(weight, merged_module(module, adapters).weights[parameter])

    def _since_base(self, weight: WeightName, at: MergedWeight) -> MergedWeight:
        before = self._replaced[weight].before if weight in self._replaced else at.before
        common = self._resized[weight].common if weight in self._resized else None
        return MergedWeight(before[:common], at.after[:common])

    def _cut(self, at: AdaptedWeight) -> AdaptedWeight:
        """The weight in the rows that the base model has too."""
        if at.merged is None:
            return at
        return _known(at.name, self._since_base(at.name, at.merged))


def adapted_weights(
    model: nn.Module,
    *,
    blocks_path: str | None = None,
    stack: Stack | None = None,
    base: ModelSource | nn.Module | None = None,
) -> AdaptedWeights:
    """Finds the weights that the active adapters of `model` change; arguments as for `compare_adapter`.

    Raises ModelError for a learned prompt, which changes no weight, and while iterating for a merged adapter.
    """
    if (prompt := learned_prompt_of(model)) is not None:
        raise ModelError(changes_no_weight(prompt.tokens))
    backbone = backbone_of(model, stack)
    return AdaptedWeights(model, backbone, find_blocks(backbone, path=blocks_path, stack=stack).path, base)


def changes_no_weight(virtual_tokens: int) -> str:
    """Says why a learned prompt of so many tokens has neither a change of the weights nor a random change of the same size."""
    return (
        f"it is a learned prompt ({counted(virtual_tokens, 'virtual token')}), which changes no weight: there is no change of weights to "
        "measure, and no random change of the same size"
    )


def _known(weight: WeightName, at: MergedWeight) -> AdaptedWeight:
    return AdaptedWeight(weight, merged=at, again=lambda: at)


def _saved(name: WeightName, module: Any) -> Iterator[AdaptedWeight]:
    for adapter in (a for a in module.active_adapters if a in module.modules_to_save):
        trained = dict(module.modules_to_save[adapter].named_parameters())
        for inner, before in module.original_module.named_parameters():
            yield _known(WeightName(name.layer, f"{name.name}.{inner}"), MergedWeight(before, trained[inner]))


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
