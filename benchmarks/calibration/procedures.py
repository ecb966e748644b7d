"""The tests and intervals over trained models that the report quotes: a p-value each, or an interval.

Each procedure takes a study, its drifts of reference and comparison, (models, layers), and a seed for its own draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm
from scipy.stats import t as student_t

from benchmarks.calibration.cells import Kind
from benchmarks.calibration.models import Floats, Study
from repdrift.core.confidence import Interval
from repdrift.statistics import (
    cliffs_delta,
    equivalence_test,
    interaction_test,
    label_permutation_test,
    log_ratio,
    mean_difference,
    mean_ratio,
    mean_reduction,
    mixed_model_reduction,
    rank_correlation,
    reduction_lower_bound,
    sign_flip_test,
)
from repdrift.statistics.correlation import RankCorrelation
from repdrift.statistics.effect_size import EffectSize

CORRELATION = 0.6
"""The correlation of normal log drift and score, where they are correlated."""
MARGIN, FACTOR = 0.2, 1.25

Outcome = float | tuple[float, float] | None


@dataclass(frozen=True)
class Reported:
    """One number that a procedure reports.

    truth: the value that an interval should hold; None for a test. is_share: the outcome is a share of false claims, not
    a p-value. label_test: the level is that of label arrangements.
    """

    name: str
    kind: Kind = "rejection"
    truth: Callable[[Study], float] | None = None
    is_share: bool = False
    label_test: bool = False


@dataclass(frozen=True)
class Procedure:
    """A function that runs on every simulated study, and the numbers that it reports, in that order."""

    reported: tuple[Reported, ...]
    run: Callable[[Study, Floats, Floats, int], tuple[Outcome, ...]]


def pvalue(name: str, run: Callable[[Study, Floats, Floats, int], Outcome], *, label_test: bool = False) -> Procedure:
    """A procedure that reports one p-value."""
    return Procedure((Reported(name, label_test=label_test),), lambda s, a, b, seed: (run(s, a, b, seed),))


def interval(
    name: str, run: Callable[[Study, Floats, Floats, int], Interval | None], truth: Callable[[Study], float]
) -> Procedure:
    """A procedure that reports one two-sided interval."""
    return Procedure((Reported(name, "coverage", truth),), lambda s, a, b, seed: (run(s, a, b, seed),))


def _labels(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    return tuple(
        label_permutation_test(
            b[:, 0], a[:, 0], strata=study.swapped, alternative=side, n_permutations=study.permutations, seed=seed
        ).pvalue
        for side in ("less", "two-sided")
    )


def _log_labels(study: Study, a: Floats, b: Floats, seed: int) -> Outcome:
    logs = np.log(b[:, 0]), np.log(a[:, 0])
    return label_permutation_test(*logs, strata=study.swapped, n_permutations=study.permutations, seed=seed).pvalue


def _margin(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    options = {"n_permutations": study.permutations, "seed": seed}
    less, more = (
        label_permutation_test(
            b[:, 0], (1 - MARGIN) * a[:, 0], strata=study.swapped, alternative=alternative, **options
        ).pvalue
        for alternative in ("less", "greater")
    )
    low = reduction_lower_bound(a[:, 0], b[:, 0], strata=study.strata, **options)
    return less, more, None if low is None else (low, math.inf)


def _equivalence(study: Study, a: Floats, b: Floats, seed: int) -> Outcome:
    options = {"strata": study.swapped, "n_permutations": study.permutations, "seed": seed}
    return equivalence_test(b[:, 0], a[:, 0], factor=FACTOR, **options).pvalue


def _sign_flip(study: Study, a: Floats, b: Floats, seed: int) -> Outcome:
    differences = np.log(b[:, 0] / a[:, 0])
    return sign_flip_test(differences, strata=study.tasks_of_pairs, n_flips=study.permutations, seed=seed).pvalue


def _interaction(study: Study, a: Floats, b: Floats, seed: int) -> Outcome:
    del seed
    return interaction_test(a[:, 0], b[:, 0], strata=study.strata).pvalue


def _mixed_model(study: Study, a: Floats, b: Floats, seed: int) -> Interval | None:
    del seed
    return mixed_model_reduction(a[:, 0], b[:, 0], strata=study.strata).interval


def _effect(
    function: Callable[..., EffectSize], *, swapped: bool
) -> Callable[[Study, Floats, Floats, int], Interval | None]:
    def run(study: Study, a: Floats, b: Floats, seed: int) -> Interval | None:
        del seed
        first, second, strata = (b, a, study.swapped) if swapped else (a, b, study.strata)
        return function(first[:, 0], second[:, 0], strata=strata).interval

    return run


def ratio(study: Study) -> float:
    """The true ratio of a study without layers."""
    return float(np.atleast_1d(study.ratio)[0])


@cache
def _cliffs_truth(study: Study) -> float:
    """P(b > a) - P(b < a) under the law of log drifts, by numerical integration."""
    scale, of_a, of_b = 1 / math.sqrt(3), *study.spreads
    if study.noise == "t3":
        cdf, pdf = partial(student_t.cdf, df=3, scale=scale), partial(student_t.pdf, df=3, scale=scale)
    else:
        cdf, pdf = norm.cdf, norm.pdf
    above, _ = quad(lambda x: cdf((math.log(ratio(study)) - of_a * x) / of_b) * pdf(x), -40, 40, points=[0])
    return 2 * above - 1


def _correlated(study: Study, seed: int, correlation: float) -> RankCorrelation:
    """The rank correlation of simulated runs, as many in every task as the study has; log drift and score are normal."""
    generator = np.random.default_rng([seed, 1])
    strata = np.repeat(np.arange(study.tasks), sum(study.models))
    level, other = generator.standard_normal((2, study.tasks))[:, strata]
    log_drift, noise = generator.standard_normal((2, strata.size))
    score = other + correlation * log_drift + math.sqrt(1 - correlation**2) * noise
    drift = np.exp(level + study.spreads[0] * log_drift)
    return rank_correlation(drift, score, strata=list(strata), n_permutations=study.permutations, seed=seed)


def _unrelated(study: Study, a: Floats, b: Floats, seed: int) -> Outcome:
    del a, b
    return _correlated(study, seed, 0.0).pvalue


def _related(study: Study, a: Floats, b: Floats, seed: int) -> Interval | None:
    del a, b
    return _correlated(study, seed, CORRELATION).interval


LABELS = Procedure(
    (Reported("label_permutation_test", label_test=True), Reported("label_permutation_test, two-sided")), _labels
)
LOG_LABELS = pvalue("label_permutation_test of log drift", _log_labels, label_test=True)
MARGIN_TESTS = Procedure(
    (
        Reported("label_permutation_test, margin 20 %", label_test=True),
        Reported("label_permutation_test, margin 20 %, the opposite", label_test=True),
        Reported("reduction_lower_bound", "coverage, one-sided", lambda s: 1 - ratio(s)),
    ),
    _margin,
)
EQUIVALENCE = pvalue("equivalence_test, factor 1.25", _equivalence, label_test=True)
SIGN_FLIP = pvalue("sign_flip_test of paired log ratios", _sign_flip)
INTERACTION = pvalue("interaction_test", _interaction)
DIFFERENCE = interval("mean_difference", _effect(mean_difference, swapped=True), lambda _: 0.0)
"""The difference of methods that do not differ. Otherwise it would depend on the tasks' levels, which are drawn."""
RATIO = interval("mean_ratio", _effect(mean_ratio, swapped=True), ratio)
REDUCTION = interval("mean_reduction", _effect(mean_reduction, swapped=False), lambda s: 1 - ratio(s))
LOG_RATIO = interval("log_ratio", _effect(log_ratio, swapped=True), lambda s: math.log(ratio(s)))
CLIFFS_DELTA = interval("cliffs_delta", _effect(cliffs_delta, swapped=True), _cliffs_truth)
UNRELATED = pvalue("rank_correlation", _unrelated)
RELATED = interval(
    "rank_correlation, interval of a correlation of 0.6", _related, lambda _: 6 / math.pi * math.asin(CORRELATION / 2)
)
MIXED_MODEL = interval("mixed_model_reduction", _mixed_model, lambda s: 1 - ratio(s))
