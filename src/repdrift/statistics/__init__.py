"""Statistics on plain arrays: the unit is the trained model."""

from repdrift.statistics.multiplicity import benjamini_hochberg, holm
from repdrift.statistics.permutation import PermutationResult, label_permutation_test, smallest_reachable_pvalue
from repdrift.statistics.reduction import reduction_lower_bound

__all__ = [
    "PermutationResult",
    "benjamini_hochberg",
    "holm",
    "label_permutation_test",
    "reduction_lower_bound",
    "smallest_reachable_pvalue",
]
