"""What training did to the weights themselves: norms, ranks, and a random change of the same size as a control."""

from repdrift.weights.dense_change import WeightComparison, dense_change
from repdrift.weights.full_change import compare_weights, weight_changes
from repdrift.weights.lora_change import compare_adapter, lora_change, lora_changes
from repdrift.weights.random_change import AppliedChange, apply_random_change
from repdrift.weights.spectrum import (
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    spectral_norm,
    stable_rank,
)

__all__ = [
    "AppliedChange",
    "WeightComparison",
    "apply_random_change",
    "compare_adapter",
    "compare_weights",
    "dense_change",
    "effective_rank",
    "frobenius_norm",
    "lora_change",
    "lora_changes",
    "low_rank_singular_values",
    "rank_utilisation",
    "spectral_norm",
    "stable_rank",
    "weight_changes",
]
