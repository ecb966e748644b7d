"""How far a full fine-tune moved every weight, read from the two checkpoints a pair of tensors at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.progress import track
from repdrift.core.records.representation_set import ModuleChange
from repdrift.models.model_files import ModelSource
from repdrift.weights.dense_change import WeightComparison, dense_change, outside_backbone, place_name
from repdrift.weights.name_matching import Located, Place, in_order, locate_both
from repdrift.weights.named_tensors import NamedTensor, NamedTensors, named_tensors


def weight_changes(
    base: ModelSource | nn.Module, tuned: ModelSource | nn.Module, blocks_path: str
) -> list[ModuleChange]:
    """The changes that `compare_weights` finds, without the list of what it could not compare."""
    return compare_weights(base, tuned, blocks_path).changes


def compare_weights(
    base: ModelSource | nn.Module, tuned: ModelSource | nn.Module, blocks_path: str
) -> WeightComparison:
    """The change of every floating parameter of the backbone, from `base` to `tuned`.

    base, tuned: safetensors sources (one pair of tensors is in memory at a time), GGUF sources or loaded models (in
    memory whole). blocks_path: name of the list of blocks inside the backbone, as `find_blocks` gives it.
    Names are matched without what stands before the backbone ("bert.", "model."). Weights of one side only, heads, tied
    copies and tensors that hold no ordinary floats (packed weights, position numbers) are listed with the reason.
    Raises ModelError for blocks that are not there, an adapter, a file that cannot be read, a weight of two shapes;
    NonFiniteError naming the weight.
    """
    before, after = named_tensors(base), named_tensors(tuned)
    left, right = locate_both(before, after, blocks_path)
    changes: list[ModuleChange] = []
    not_compared = [*_one_sided(left, right, "base", before), *_one_sided(right, left, "tuned", after)]
    not_compared += outside_backbone(sorted(set(left.outside) & set(right.outside)))
    seen: list[tuple[NamedTensor, NamedTensor, str]] = []
    places = in_order(left.backbone.keys() & right.backbone.keys())
    for place in track(places, what="comparing weights", total=len(places)):
        pair = before.tensors[left.backbone[place]], after.tensors[right.backbone[place]]
        name = left.backbone[place]
        if None in (pair[0].dtype, pair[1].dtype):
            not_compared.append(f"{name}: holds no ordinary floating-point weights")
            continue
        _require_shape(place, *pair, before, after)
        if place[0] is None and (tied := _tied_in_both(pair, seen)):
            not_compared.append(f"{name}: tied to {tied}, compared there")
            continue
        changes.append(dense_change(*place, pair[0].read(), pair[1].read(), note=_precision_note(*pair)))
        if place[0] is None:
            seen.append((*pair, name))
    if not any(change.layer is not None for change in changes):
        raise ModelError(
            f"no weight of the blocks {blocks_path!r} could be compared between {before.where} and {after.where}: "
            f"{'; '.join(not_compared[:3])}"
        )
    return WeightComparison(changes, not_compared)


def _one_sided(side: Located, other: Located, which: str, tensors: NamedTensors) -> Iterator[str]:
    alone = [side.backbone[place] for place in in_order(side.backbone.keys() - other.backbone.keys())]
    shared = [side.backbone[p] for p in in_order(side.backbone.keys() & other.backbone.keys()) if p[0] is None]
    for name in [*alone, *sorted(set(side.outside) - set(other.outside))]:
        tensor = tensors.tensors[name]
        tied = next((known for known in shared if _same(tensor, tensors.tensors[known])), None)
        yield f"{name}: only in the {which} model" + (f", tied to {tied} there" if tied else "")


def _tied_in_both(
    pair: tuple[NamedTensor, NamedTensor], seen: list[tuple[NamedTensor, NamedTensor, str]]
) -> str | None:
    """The name of an earlier weight that is the same matrix in the base model and in the tuned one."""
    return next((name for b, t, name in seen if _same(pair[0], b) and _same(pair[1], t)), None)


def _same(a: NamedTensor, b: NamedTensor) -> bool:
    if a.shape != b.shape or len(a.shape) != 2 or a.dtype != b.dtype or a.dtype is None:
        return False
    return torch.equal(a.read(), b.read())


def _require_shape(
    place: Place, base: NamedTensor, tuned: NamedTensor, before: NamedTensors, after: NamedTensors
) -> None:
    if base.shape != tuned.shape:
        hint = " Was its vocabulary resized?" if place[0] is None and base.shape[1:] == tuned.shape[1:] else ""
        raise ModelError(
            f"{place_name(*place)} is {base.shape} in {before.where} and {tuned.shape} in {after.where}: "
            f"the second was not tuned from the first as it is.{hint}"
        )


def _precision_note(base: NamedTensor, tuned: NamedTensor) -> str | None:
    if base.dtype == tuned.dtype:
        return None
    return f"{base.dtype} in the base model, {tuned.dtype} in the tuned one: part of the change is rounding"
