"""The stated limits: how far off a test or an interval may be if an assumption does not hold, and what follows.

One truth breaks an assumption here: a method that spreads thrice as much as the other. Its drifts are log-normal with a
standard deviation of 0.45 in the logarithm, so that the means of three of them are skewed as well as spread.
"""

from __future__ import annotations

import re

from benchmarks.calibration.cells import Limit
from benchmarks.calibration.models import Study
from benchmarks.calibration.samples import Tails
from repdrift.statistics import calibration_limit

RAW_TESTS = ("label_permutation_test", "equivalence_test")
NEARLY_NONE = 0.075
"""The rejection rate that `calibration_limit` allows without a sentence."""
OVER_LAYERS = 0.12
"""The share of studies in which max-T finds some false layer of twelve, that the analysis states for three to one."""
RAW = "of raw drift, assumes spread in proportion to the mean: test log drift"
MEANS = "assumes drifts near normal: quote the log ratio"
STATED: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(RAW_TESTS, (0.14, 0.18, RAW)),
    "reduction_lower_bound": (0.86, 0.82, "inverts the test of raw drift: bound the log ratio"),
    "mean_difference": (0.89, 0.8, MEANS),
    "mean_ratio": (0.89, 0.8, MEANS),
    "mean_reduction": (0.89, 0.8, MEANS),
    "cliffs_delta": (0.93, 0.88, "narrow where the smaller group is much the more variable, as is said"),
    "hierarchical_reduction": (0.93, 0.92, "assumes equal numbers where spreads differ, as is said"),
}
"""The largest rejection or least coverage with equal and with unequal numbers of models, and what follows."""


def model_limit(name: str, study: Study) -> Limit | None:
    """The stated limit of a procedure over models in a study; None where all its assumptions hold."""
    if study.spreads[0] == study.spreads[1]:
        return None
    if name.startswith(("max_t_test", "cluster_test", "holm", "benjamini_hochberg")):
        return Limit(
            OVER_LAYERS, "assumes equal spreads of log drift, and takes the largest of many layers, as is said"
        )
    if "of log drift" in name:
        said = calibration_limit([study.models] * study.tasks)
        share = re.search(r"up to (\d+) %", said) if said else None
        return Limit(int(share[1]) / 100 if share else NEARLY_NONE, "assumes equal spreads of log drift, as is said")
    for stem, (equal, unequal, follows) in STATED.items():
        if name.startswith(stem):
            return Limit(equal if study.models[0] == study.models[1] else unequal, follows)
    return None


def sample_limit(name: str, tails: Tails, n: int) -> Limit | None:
    """The stated limit of an interval over samples; None for the jackknife, which is what the report quotes."""
    if tails == "normal":
        return None
    if tails == "t3" and name.startswith("cka_biased: drift"):
        return Limit(0.65, "biased CKA counts fourth powers of samples, which have no mean here: quote the debiased")
    if name.endswith("bca"):
        return Limit(0.87 if n < 500 else 0.89, "assumes light tails: not used by the report")
    if name.endswith("percentile"):
        return Limit(0.91, "narrow for skewed drifts: not used for intervals of drifts")
    return None
