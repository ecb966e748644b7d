"""The change that a full fine-tune made to every weight, read from the two checkpoints a pair of tensors at a time."""

from __future__ import annotations

import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.progress import track
from repdrift.core.records.representation_set import ModuleChange
from repdrift.models.model_files import ModelSource
from repdrift.weights.named_tensors import named_tensors
from repdrift.weights.weight_comparison import WeightComparison, dense_change
from repdrift.weights.weight_pairs import weight_pairs

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
    found = weight_pairs(before, after, blocks_path)
    changes: list[ModuleChange] = []
    resized: list[str] = []
    coarser: dict[str, bool] = {}
    for pair in track(found.pairs, what="comparing weights", total=len(found.pairs)):
        first, second = pair.read_base(), pair.read_tuned()
        change = dense_change(pair.weight, first, second, note=pair.note)
        changes.append(change)
        if change.change_norm > 0.0 and all(coarser.values()):
            coarser[str(pair.base.dtype)] = pair.base.dtype in _COARSE and torch.equal(second.to(first.dtype), first)
        if pair.rows is not None:
            resized.append(pair.rows.note(pair.name))
    if not any(change.layer is not None for change in changes):
        raise ModelError(
            f"no weight of the blocks {blocks_path!r} could be compared between {before.where} and {after.where}: "
            f"{'; '.join(found.not_compared[:3])}"
        )
    rounds_to_base = next(iter(coarser)) if len(coarser) == 1 and all(coarser.values()) else None
    return WeightComparison(changes, found.not_compared, resized, rounds_to_base)
