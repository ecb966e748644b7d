"""The change that an adapter of any kind makes to the weights of its backbone."""

from __future__ import annotations

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import ModuleChange, Stack
from repdrift.models.backbone import backbone_of
from repdrift.models.model_files import ModelSource
from repdrift.weights.adapted_weights import CANNOT_MERGE, adapted_weights, changes_no_weight
from repdrift.weights.lora_change import lora_change
from repdrift.weights.weight_comparison import WeightComparison, dense_change
from repdrift.weights.weight_names import WeightName, in_order

__all__ = ["CANNOT_MERGE", "changes_no_weight", "compare_adapter"]


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
    found = adapted_weights(model, blocks_path=blocks_path, stack=stack, base=base)
    changes: dict[WeightName, ModuleChange] = {}
    for at in found:
        if at.factors is not None:
            changes[at.name] = lora_change(at.name, at.factors, at.scaling)
        elif at.merged is not None:
            changes[at.name] = dense_change(at.name, at.merged.before, at.merged.after)
    if not changes:
        listed = f" Not covered: {'; '.join(found.not_compared[:3])}." if found.not_compared else ""
        raise ModelError(
            f"no adapter that can be compared in {type(backbone_of(model, stack)).__name__}: this is the base model, the adapter was "
            f"merged, or it changes no weight.{listed}"
        )
    return WeightComparison([changes[weight] for weight in in_order(changes)], found.not_compared)
