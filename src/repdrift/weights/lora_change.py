"""The change that LoRA makes to an adapted weight, and how much of its rank is used; from A and B, without forming B A."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from repdrift.core.errors import NonFiniteError
from repdrift.core.records.representation_set import ModuleChange
from repdrift.weights.lora_factors import LoraFactors
from repdrift.weights.spectrum import (
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    stable_rank,
)
from repdrift.weights.weight_comparison import relative_change
from repdrift.weights.weight_names import WeightName


def lora_change(weight: WeightName, factors: LoraFactors, scaling: Sequence[float]) -> ModuleChange:
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
    )
