"""How far LoRA moves every adapted weight, and how much of its rank it uses; from A and B, without forming B A."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError, NonFiniteError
from repdrift.core.records.representation_set import ModuleChange
from repdrift.models.adapter_files import initialisation_changes_base
from repdrift.models.backbone import Stack, backbone_of
from repdrift.models.block_search import find_blocks
from repdrift.weights.dense_change import (
    WeightComparison,
    dense_change,
    outside_backbone,
    place_name,
    relative,
)
from repdrift.weights.lora_module import factors_of, not_covered
from repdrift.weights.name_matching import Place, in_order
from repdrift.weights.spectrum import (
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    stable_rank,
)


def lora_changes(
    model: nn.Module, *, blocks_path: str | None = None, stack: Stack | None = None, adapter: str | None = None
) -> list[ModuleChange]:
    """The changes that `compare_adapter` finds, without the list of what it could not measure."""
    return compare_adapter(model, blocks_path=blocks_path, stack=stack, adapter=adapter).changes


def compare_adapter(
    model: nn.Module, *, blocks_path: str | None = None, stack: Stack | None = None, adapter: str | None = None
) -> WeightComparison:
    """The change that LoRA makes to every weight it adapts in the backbone of `model`, which carries it unmerged.

    model: what peft gives, or a backbone into which LoRA was injected. blocks_path, stack: as in `find_blocks`. adapter: whose matrices; None: the active ones,
    summed where a module has several. Parts of the backbone that were trained whole (`modules_to_save`) are compared too.
    What peft adds beyond scaling * B A (DoRA's magnitude, biases) is not in the numbers: the change's `note`, or the list
    of what was not compared, says so. Modules outside the backbone (heads) are listed there.
    Raises ModelError if there is no LoRA in the backbone or it was merged; NonFiniteError naming the weight.
    """
    backbone = backbone_of(model, stack)
    path = find_blocks(backbone, path=blocks_path, stack=stack).path
    found = _Found(adapter)
    for name, module in backbone.named_modules():
        found.add(_place(name, path), module)
    inside = {id(module) for module in backbone.modules()}
    heads = [name for name, m in model.named_modules() if id(m) not in inside and isinstance(m, _trained_kinds())]
    found.not_compared += outside_backbone(heads)
    found.not_compared += _of_configs(model)
    if not any(change.rank is not None for change in found.changes.values()):
        listed = f" Not covered: {'; '.join(found.not_compared[:3])}." if found.not_compared else ""
        raise ModelError(
            f"no LoRA matrices in {type(backbone).__name__}: this is the base model, the adapter was merged, or it is of "
            f"another kind.{listed}"
        )
    return WeightComparison([found.changes[place] for place in in_order(found.changes)], found.not_compared)


def lora_change(
    place: Place,
    a: Sequence[Tensor],
    b: Sequence[Tensor],
    scaling: Sequence[float],
    norm: float,
    note: str | None = None,
) -> ModuleChange:
    """The change by the sum of scaling_i * B_i A_i, of one adapted weight whose norm in the base model is `norm`.

    a: (r_i, n) each, b: (m, r_i) each. Several adapters are one of rank sum r_i: [s_1 B_1, ...] [A_1; ...].
    """
    stacked_a = torch.cat([x.detach().double().cpu() for x in a])
    stacked_b = torch.cat([s * x.detach().double().cpu() for s, x in zip(scaling, b, strict=True)], dim=1)
    try:
        values = low_rank_singular_values(stacked_a, stacked_b)
    except NonFiniteError as error:
        raise NonFiniteError(f"{place_name(*place)}: {error}") from error
    change_norm = float(torch.linalg.vector_norm(values))
    return ModuleChange(
        layer=place[0],
        module=place[1],
        norm=norm,
        change_norm=change_norm,
        relative_change=relative(change_norm, norm),
        stable_rank=stable_rank(change_norm, float(values[0])),
        rank=int(stacked_a.shape[0]),
        scaling=scaling[0] if len(set(scaling)) == 1 else None,
        effective_rank=effective_rank(values),
        rank_utilisation=rank_utilisation(values),
        note=note,
    )


@dataclass
class _Found:
    adapter: str | None
    changes: dict[Place, ModuleChange] = field(default_factory=dict)
    not_compared: list[str] = field(default_factory=list)

    def add(self, place: Place, module: nn.Module) -> None:
        from peft.tuners.lora.layer import LoraLayer
        from peft.utils.other import ModulesToSaveWrapper

        if isinstance(module, LoraLayer):
            self._add_lora(place, module)
        elif isinstance(module, ModulesToSaveWrapper):
            for change in _saved_changes(place, module, self.adapter):
                self.changes[change.layer, change.module] = change
        elif isinstance(module, _trained_kinds()):
            kind = f"{type(module).__module__.split('.')[-2]}.{type(module).__name__}"
            self.not_compared.append(f"{place_name(*place)}: changed by {kind}, which is not LoRA")

    def _add_lora(self, place: Place, module: Any) -> None:
        where = place_name(*place)
        if module.merged_adapters:
            raise ModelError(
                f"{where}: the adapter {module.merged_adapters[0]!r} is merged into the base weight. Load it unmerged."
            )
        names = [self.adapter] if self.adapter is not None else list(module.active_adapters)
        names = [n for n in names if n in module.r]
        if not names:
            return
        factors = factors_of(module, names)
        if isinstance(factors, str):
            self.not_compared.append(f"{where}: {factors}")
            return
        inner = f"{place[1]}.{factors.parameter}"
        self.changes[place[0], inner] = lora_change(
            (place[0], inner),
            factors.a,
            factors.b,
            [float(module.scaling[n]) for n in names],
            frobenius_norm(factors.weight),
            not_covered(module, names),
        )


def _saved_changes(place: Place, module: Any, adapter: str | None) -> Iterator[ModuleChange]:
    names = [adapter] if adapter is not None else list(module.active_adapters)
    for name in (n for n in names if n in module.modules_to_save):
        trained = dict(module.modules_to_save[name].named_parameters())
        for inner, before in module.original_module.named_parameters():
            yield dense_change(place[0], f"{place[1]}.{inner}", before, trained[inner])


def _place(name: str, blocks_path: str) -> Place:
    name = ".".join(part for part in name.split(".") if part != "base_layer")  # wrappers inside wrappers
    number, _, rest = name.removeprefix(f"{blocks_path}.").partition(".")
    if name.startswith(f"{blocks_path}.") and number.isdecimal():
        return int(number), rest
    return None, name


def _trained_kinds() -> tuple[type, ...]:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return BaseTunerLayer, AuxiliaryTrainingWrapper


def _of_configs(model: nn.Module) -> Iterator[str]:
    configs = getattr(model, "peft_config", None)
    for name, config in (configs or {}).items():  # pyright: ignore[reportAttributeAccessIssue]
        if getattr(config, "bias", "none") != "none":
            yield f"biases: trained by adapter {name!r} (bias={config.bias!r}), not covered"
        start = getattr(config, "init_lora_weights", True)
        if initialisation_changes_base(start):
            yield f"all adapted weights: adapter {name!r} was initialised by {start!r}, which may change the base weights too"
