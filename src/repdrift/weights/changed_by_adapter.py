"""The changes that an adapter makes, one weight at a time: from its files alone, or from the base model with the adapter on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.models.lazy_adapter import LazyAdapter
from repdrift.models.loading import load_backbone
from repdrift.models.lone_adapter import load_adapter_alone
from repdrift.models.model_files import ModelSource
from repdrift.weights.adapted_weights import AdaptedWeight, adapted_weights
from repdrift.weights.base_matrices import BaseMatrices
from repdrift.weights.changed_matrix import ChangedMatrix, MatrixFactors, MatrixReader
from repdrift.weights.lora_factors import LoraFactors, has_more_than_factors, reason_without_factors
from repdrift.weights.matrix_layout import Layout, layout_of
from repdrift.weights.merged_change import MergedWeight
from repdrift.weights.named_tensors import NamedTensor
from repdrift.weights.weight_comparison import difference, outside_backbone
from repdrift.weights.weight_names import WeightName, names_of_base, weight_name

_ADAPTER = "default"


@dataclass
class AdapterMatrices:
    """The readers of the weights that an adapter changes, a line for each part that is left out, and one for each compared in part."""

    readers: dict[WeightName, MatrixReader] = field(default_factory=dict)
    not_compared: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def streamed_adapter_matrices(base: BaseMatrices, adapter: ModelSource) -> AdapterMatrices | None:
    """Returns the changes of a plain LoRA from its files, without loading the base model.

    None if it is no plain LoRA (DoRA, trained biases, an initialisation that changes the base), if the files of the base model
    name a weight in another way than the model, or anything else speaks against it: then it has to be loaded.
    """
    from peft.tuners.lora.layer import LoraLayer

    skeleton = base.fresh_skeleton()
    try:
        lazy = LazyAdapter(skeleton.model, skeleton.whole_path, adapter)
    except ModelError:
        return None
    inside = {module: name for name, module in skeleton.backbone.named_modules()}
    tensors = names_of_base(base.tensors, base.blocks_path)
    found = AdapterMatrices()
    outside: list[str] = []
    for path, module in skeleton.model.named_modules():
        if not isinstance(module, LoraLayer):
            continue
        if module not in inside:
            outside.append(path)
            continue
        if reason_without_factors(module, [_ADAPTER]) or has_more_than_factors(module, [_ADAPTER]):
            return None
        at = weight_name(inside[module], base.blocks_path)
        weight = WeightName(at.layer, f"{at.name}.weight")
        stored = tensors.get(weight)
        if stored is None or stored.dtype is None:
            return None
        found.readers[weight] = _streamed(weight, stored, module, lazy, path)
    found.not_compared += outside_backbone(outside)
    return found if found.readers else None


def _streamed(weight: WeightName, stored: NamedTensor, module: Any, lazy: LazyAdapter, path: str) -> MatrixReader:
    layout = layout_of(module.get_base_layer(), weight.name, stored.shape)
    scaling = float(module.scaling[_ADAPTER])

    def read() -> ChangedMatrix:
        matrices = lazy.matrices(path)
        a, b = (_named(matrices, part).double().flatten(1) for part in ("A", "B"))
        return factored(weight, layout, stored.shape, MatrixFactors(b * scaling, a), stored.read)

    return read


def _named(matrices: dict[str, Tensor], part: str) -> Tensor:
    return next(t for name, t in matrices.items() if name.startswith((f"lora_{part}.", f"lora_embedding_{part}.")))


def loaded_adapter_matrices(base: BaseMatrices, adapter: ModelSource) -> AdapterMatrices:
    """Returns the changes of any adapter, which is put on the base model; that stays in memory while the readers are kept.

    Raises ModelError if the adapter does not fit, or changes no weight of the backbone that can be compared.
    """
    loaded = load_adapter_alone(lambda: load_backbone(base.source), base.source, adapter)
    with loaded.tuned(0) as backbone:
        changed = adapted_weights(backbone, blocks_path=base.blocks_path, stack=base.stack, base=base.source)
        found = AdapterMatrices()
        for at in changed:
            found.readers.update(_loaded(base, at))
    found.not_compared += changed.not_compared
    found.notes += changed.notes
    if not found.readers:
        raise ModelError(
            f"the adapter in {adapter.path} changes no weight of the backbone that can be compared. "
            f"{'; '.join(found.not_compared[:3])}".rstrip()
        )
    return found


def _loaded(base: BaseMatrices, at: AdaptedWeight) -> dict[WeightName, MatrixReader]:
    """The readers of one weight, or of each matrix of a stack; the merged weight itself is not kept."""
    if at.factors is not None:
        return {at.name: partial(_from_factors, base, at.name, at.factors, at.scaling)}
    if at.merged is None or at.again is None:
        return {}
    layout, again = base.layout(at.name, tuple(at.merged.before.shape)), at.again
    if layout.kind != "stack":
        return {at.name: partial(_from_merged, at.name, layout, again, None)}
    names = {n: WeightName(at.name.layer, f"{at.name.name}[{n}]") for n in range(at.merged.before.shape[0])}
    return {name: partial(_from_merged, name, layout, again, number) for number, name in names.items()}


def _from_factors(
    base: BaseMatrices, weight: WeightName, factors: LoraFactors, scaling: tuple[float, ...]
) -> ChangedMatrix:
    layout = base.layout(weight, tuple(factors.weight.shape))
    a = torch.cat([x.detach().double().cpu() for x in factors.a])
    b = torch.cat([s * x.detach().double().cpu() for s, x in zip(scaling, factors.b, strict=True)], dim=1)
    return factored(weight, layout, tuple(factors.weight.shape), MatrixFactors(b, a), factors.weight.detach)


def _from_merged(
    weight: WeightName, layout: Layout, again: Callable[[], MergedWeight], number: int | None
) -> ChangedMatrix:
    at = again()
    before, after = layout.matrix(at.before, number), layout.matrix(at.after, number)

    def read_base() -> Tensor:
        return before.detach().cpu()

    change = difference(before, after)
    return ChangedMatrix(weight, tuple(before.shape), read_base, dense=change, transposed=layout.transposed)


def factored(
    weight: WeightName, layout: Layout, stored: tuple[int, ...], factors: MatrixFactors, read: Callable[[], Tensor]
) -> ChangedMatrix:
    """The change B A of a weight of the stored shape, which `read` reads. Raises ModelError if the shapes do not fit."""
    shape, made = layout.shape(stored), (factors.b.shape[0], factors.a.shape[1])
    if made != shape:
        raise ModelError(
            f"{weight}: the adapter's matrices make a change of shape {made}, and the base weight is {shape}"
        )
    return ChangedMatrix(weight, shape, lambda: layout.matrix(read()), factors=factors, transposed=layout.transposed)
