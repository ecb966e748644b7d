"""Statistics on plain arrays: the unit is the trained model."""

from repdrift.statistics.effect_size import (
    EffectSize,
    cliffs_delta,
    log_ratio,
    mean_difference,
    mean_ratio,
    mean_reduction,
)
from repdrift.statistics.equivalence import MarginResult, equivalence_test, superiority_test
from repdrift.statistics.intervals import IntervalBounds, bootstrap_interval, jackknife_interval
from repdrift.statistics.multiplicity import benjamini_hochberg, holm
from repdrift.statistics.permutation import PermutationResult, label_permutation_test, smallest_reachable_pvalue
from repdrift.statistics.reduction import reduction_lower_bound
from repdrift.statistics.sign_flip import SignFlipResult, sign_flip_test

__all__ = [
    "EffectSize",
    "IntervalBounds",
    "MarginResult",
    "PermutationResult",
    "SignFlipResult",
    "benjamini_hochberg",
    "bootstrap_interval",
    "cliffs_delta",
    "equivalence_test",
    "holm",
    "jackknife_interval",
    "label_permutation_test",
    "log_ratio",
    "mean_difference",
    "mean_ratio",
    "mean_reduction",
    "reduction_lower_bound",
    "sign_flip_test",
    "smallest_reachable_pvalue",
    "superiority_test",
]
