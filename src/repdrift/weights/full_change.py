"""The change that a full fine-tune made to every weight, read from the two checkpoints a pair of tensors at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.progress import track
from repdrift.core.records.representation_set import ModuleChange
from repdrift.models.model_files import ModelSource
from repdrift.weights.named_tensors import NamedTensor, NamedTensors, named_tensors
from repdrift.weights.weight_comparison import WeightComparison, dense_change, outside_backbone
from repdrift.weights.weight_names import TensorNames, WeightName, in_order, match_names

_COARSE = ("bfloat16", "float16")


def compare_weights(
    base: ModelSource | nn.Module, tuned: ModelSource | nn.Module, blocks_path: str
) -> WeightComparison:
    """The change of every floating-point parameter of the backbone from `base` to `tuned`.

    base, tuned: safetensors files (one pair of tensors is in memory at a time), GGUF files or loaded models (in memory
    whole). blocks_path: name of the list of blocks inside the backbone, as `find_blocks` gives it.
    Names are matched without the prefix of the backbone ("bert.", "model."). Weights that only one model has, heads, tied
    copies and tensors that hold no ordinary floats (packed weights, position numbers) are listed with the reason.
    Of an embedding with added or removed rows the rows that both have are compared, and `resized` says so. Where the base model's
    files are coarser than the tuned model's, `rounds_to_base` says whether rounding is all that lies between them.
    Raises ModelError if the blocks are absent, a model carries an adapter, a file cannot be read, or another weight has two
    shapes; NonFiniteError naming the weight.
    """
    before, after = named_tensors(base), named_tensors(tuned)
    names = match_names(before, after, blocks_path)
    in_base, in_tuned = names.base, names.tuned
    changes: list[ModuleChange] = []
    not_compared = [*_only_in(in_base, in_tuned, "base", before), *_only_in(in_tuned, in_base, "tuned", after)]
    not_compared += outside_backbone(sorted(set(in_base.outside) & set(in_tuned.outside)))
    resized: list[str] = []
    outside_blocks: list[_Pair] = []
    coarser: dict[str, bool] = {}
    shared = in_order(in_base.backbone.keys() & in_tuned.backbone.keys())
    for weight in track(shared, what="comparing weights", total=len(shared)):
        name = in_base.backbone[weight]
        pair = _Pair(name, before.tensors[name], after.tensors[in_tuned.backbone[weight]])
        if None in (pair.base.dtype, pair.tuned.dtype):
            not_compared.append(f"{name}: holds no ordinary floating-point weights")
            continue
        rows = _common_rows(weight, pair)
        if rows is None:
            _require_one_shape(weight, pair, before, after)
        if weight.layer is None and (tied := _tied_in_both(pair, outside_blocks)):
            not_compared.append(f"{name}: tied to {tied}, compared there")
            continue
        notes = [_precision_note(pair), rows and rows.note(name)]
        first, second = pair.base.read()[: rows and rows.common], pair.tuned.read()[: rows and rows.common]
        change = dense_change(weight, first, second, note="; ".join(note for note in notes if note) or None)
        changes.append(change)
        if change.change_norm > 0.0 and all(coarser.values()):
            coarser[str(pair.base.dtype)] = pair.base.dtype in _COARSE and torch.equal(second.to(first.dtype), first)
        if rows is not None:
            resized.append(rows.note(name))
        if weight.layer is None:
            outside_blocks.append(pair)
    if not any(change.layer is not None for change in changes):
        raise ModelError(
            f"no weight of the blocks {blocks_path!r} could be compared between {before.where} and {after.where}: "
            f"{'; '.join(not_compared[:3])}"
        )
    rounds_to_base = next(iter(coarser)) if len(coarser) == 1 and all(coarser.values()) else None
    return WeightComparison(changes, not_compared, resized, rounds_to_base)


@dataclass(frozen=True)
class _Pair:
    """One weight in both models; `name` is its name in the base model."""

    name: str
    base: NamedTensor
    tuned: NamedTensor


@dataclass(frozen=True)
class _Rows:
    """Numbers of rows of one matrix outside the blocks, such as an embedding whose vocabulary was resized."""

    base: int
    tuned: int

    @property
    def common(self) -> int:
        return min(self.base, self.tuned)

    def note(self, name: str) -> str:
        return f"{name} has {self.tuned} rows, in the base model {self.base}: the {self.common} rows that both have were compared"


def _common_rows(weight: WeightName, pair: _Pair) -> _Rows | None:
    base, tuned = pair.base.shape, pair.tuned.shape
    if weight.layer is not None or len(base) != 2 or len(tuned) != 2 or base[0] == tuned[0] or base[1] != tuned[1]:
        return None
    return _Rows(base[0], tuned[0])


def _only_in(one: TensorNames, other: TensorNames, which: str, model: NamedTensors) -> Iterator[str]:
    """A line for each tensor that only one of the two models has; `which` says which one that is."""
    alone = [one.backbone[weight] for weight in in_order(one.backbone.keys() - other.backbone.keys())]
    both = in_order(one.backbone.keys() & other.backbone.keys())
    shared = [one.backbone[weight] for weight in both if weight.layer is None]
    for name in [*alone, *sorted(set(one.outside) - set(other.outside))]:
        tensor = model.tensors[name]
        tied = next((known for known in shared if _equal_matrices(tensor, model.tensors[known])), None)
        yield f"{name}: only in the {which} model" + (f", tied to {tied} there" if tied else "")


def _tied_in_both(pair: _Pair, seen: list[_Pair]) -> str | None:
    """The name of an earlier weight that is the same matrix in the base model and in the tuned one."""
    same = (s.name for s in seen if _equal_matrices(pair.base, s.base) and _equal_matrices(pair.tuned, s.tuned))
    return next(same, None)


def _equal_matrices(a: NamedTensor, b: NamedTensor) -> bool:
    if a.shape != b.shape or len(a.shape) != 2 or a.dtype != b.dtype or a.dtype is None:
        return False
    return torch.equal(a.read(), b.read())


def _require_one_shape(weight: WeightName, pair: _Pair, before: NamedTensors, after: NamedTensors) -> None:
    base, tuned = pair.base.shape, pair.tuned.shape
    if base != tuned:
        raise ModelError(
            f"{weight} is {base} in {before.where} and {tuned} in {after.where}: "
            "the second was not tuned from the first as it is."
        )


def _precision_note(pair: _Pair) -> str | None:
    if pair.base.dtype == pair.tuned.dtype:
        return None
    return f"{pair.base.dtype} in the base model, {pair.tuned.dtype} in the tuned one: part of the change is rounding"
