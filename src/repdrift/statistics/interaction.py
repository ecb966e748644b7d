"""Whether the methods differ by the same factor in all tasks: method by task interaction on log drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.statistics.arrangements import Floats, by_stratum, finite
from repdrift.statistics.quantiles import f_upper_tail

_CONSTANT = 1e-12


@dataclass(frozen=True)
class InteractionResult:
    """Outcome of an interaction test.

    log_ratios: of every stratum, mean(log comparison) - mean(log reference). statistic: Welch's F, with (numerator,
    denominator) degrees_of_freedom; large where log ratios differ by more than their errors. smallest_pvalue: None: p
    comes from the F distribution, and has no least value. n_units: trained models in the test.
    """

    log_ratios: dict[str, float]
    statistic: float
    degrees_of_freedom: tuple[float, float]
    pvalue: float
    n_units: int
    smallest_pvalue: None = None


def interaction_test(reference: ArrayLike, comparison: ArrayLike, *, strata: Sequence[object]) -> InteractionResult:
    """Test whether the log ratio of comparison to reference is not the same in all strata (tasks).

    reference: (m,), comparison: (k,) drifts above zero, one per trained model; strata label reference, then comparison.
    Welch's test of equal means applied to the log ratios of strata, each weighted by its own squared error with
    Satterthwaite's degrees of freedom: tasks and methods may differ in level and in spread, numbers of models may too.
    A null is rejected at alpha 0.05 by 2 to 6 % with 3 and 5 models a cell, 2 and 4 tasks, spreads that differ threefold
    between tasks and methods, normal and t3 tails. The classical F and permuted residuals of the additive model, over
    all cells or within tasks, reject 8 to 13 % there, and are not offered. No rejection is no proof of sameness.
    Raises ShapeError for a single stratum, or a cell with fewer than two models (it has no residual); NonFiniteError;
    DegenerateInputError for a drift that is not above zero, or where neither method varies in a stratum.
    Source: Welch 1951. Departure: differences of two groups in the place of means of one.
    """
    values = {"reference": finite(reference, "reference"), "comparison": finite(comparison, "comparison")}
    for name, drifts in values.items():
        if (drifts <= 0).any():
            place = int(np.flatnonzero(drifts <= 0)[0])
            raise DegenerateInputError(f"{name}[{place}] is {drifts[place]:g}: a log drift needs drifts above 0")
    groups = by_stratum(np.log(values["reference"]), np.log(values["comparison"]), strata)
    names = list(dict.fromkeys(str(label) for label in strata))
    if len(groups) < 2:
        raise ShapeError(f"an interaction is between methods and strata: it needs two strata, got only {names[0]!r}")
    for name, (ref, comp) in zip(names, groups, strict=True):
        if min(ref.size, comp.size) < 2:
            raise ShapeError(
                f"stratum {name!r} has {ref.size} values of reference and {comp.size} of comparison; an interaction "
                "test needs two of each, to tell it from noise"
            )
        if max(np.ptp(ref), np.ptp(comp)) <= _CONSTANT:
            raise DegenerateInputError(f"neither method varies in stratum {name!r}: its log ratio has no error")
    ratios = np.array([comp.mean() - ref.mean() for ref, comp in groups])
    parts = np.array([[x.var(ddof=1) / x.size for x in group] for group in groups])
    freedom = parts.sum(axis=1) ** 2 / (parts**2 / np.array([[x.size - 1 for x in group] for group in groups])).sum(
        axis=1
    )
    statistic, numerator, denominator = _welchs_f(ratios, parts.sum(axis=1), freedom)
    return InteractionResult(
        log_ratios={name: float(ratio) for name, ratio in zip(names, ratios, strict=True)},
        statistic=statistic,
        degrees_of_freedom=(numerator, denominator),
        pvalue=f_upper_tail(statistic, numerator, denominator),
        n_units=sum(x.size for group in groups for x in group),
    )


def _welchs_f(means: Floats, error_squared: Floats, freedom: Floats) -> tuple[float, float, float]:
    """Welch's F and its degrees of freedom, of (S,) independent means with squared errors of `freedom` degrees."""
    count = means.size
    weights = 1 / error_squared
    share = weights / weights.sum()
    between = float((weights * (means - share @ means) ** 2).sum()) / (count - 1)
    correction = float(((1 - share) ** 2 / freedom).sum())
    return between / (1 + 2 * (count - 2) / (count**2 - 1) * correction), count - 1, (count**2 - 1) / (3 * correction)
