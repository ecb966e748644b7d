"""Weight space: how far training moved each weight, norms and ranks of the change, and a random change of the same size."""

from repdrift.weights.adapter_change import CANNOT_MERGE, changes_no_weight, compare_adapter
from repdrift.weights.base_matrices import BaseMatrices, base_matrices
from repdrift.weights.changed_matrices import ChangedMatrices, changed_matrices
from repdrift.weights.changed_matrix import ChangedMatrix, MatrixFactors
from repdrift.weights.full_change import compare_weights
from repdrift.weights.moved_files import moved_key, read_moved, write_moved
from repdrift.weights.moved_table import WEIGHTS_TABLE, moved_rows, moved_table
from repdrift.weights.moved_weights import MovedWeights, WeightOptions, moved_weights
from repdrift.weights.random_change import AppliedChange, apply_random_change
from repdrift.weights.spectrum import (
    effective_rank,
    frobenius_norm,
    low_rank_singular_values,
    rank_utilisation,
    spectral_norm,
    stable_rank,
)
from repdrift.weights.weight_comparison import WeightComparison, dense_change
from repdrift.weights.weight_names import WeightName

__all__ = [
    "CANNOT_MERGE",
    "WEIGHTS_TABLE",
    "AppliedChange",
    "BaseMatrices",
    "ChangedMatrices",
    "ChangedMatrix",
    "MatrixFactors",
    "MovedWeights",
    "WeightComparison",
    "WeightName",
    "WeightOptions",
    "apply_random_change",
    "base_matrices",
    "changed_matrices",
    "changes_no_weight",
    "compare_adapter",
    "compare_weights",
    "dense_change",
    "effective_rank",
    "frobenius_norm",
    "low_rank_singular_values",
    "moved_key",
    "moved_rows",
    "moved_table",
    "moved_weights",
    "rank_utilisation",
    "read_moved",
    "spectral_norm",
    "stable_rank",
    "write_moved",
]
