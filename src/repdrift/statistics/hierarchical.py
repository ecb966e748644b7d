"""Intervals over trained models and evaluation samples at once, from replicates on shared resamples of the samples.

The drift of a trained model, measured on n samples, has noise of two kinds: other seeds would give other models, and
other samples would give other drifts of the same models. An interval over one of them says nothing about the other.
Sample noise is in part common to all models of a task, as they are measured on the same samples, and in part each
model's own. The spread between models holds each model's own part too. Adding the variance over samples would count
that part twice, so it is subtracted once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.confidence import Interval, student_quantile, upper_level
from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics.arrangements import Floats, finite, finite_table, stratum_labels
from repdrift.statistics.effect_size import EffectSize

LEAST_REPLICATES = 200
"""The fewest replicates. A standard deviation over fewer is off by more than 5 %."""


@dataclass(frozen=True)
class _Stratum:
    """The models of one stratum: its name for messages, and their row indices in the tables."""

    name: str
    models: NDArray[np.intp]


@dataclass(frozen=True)
class _Variance:
    """A variance and its degrees of freedom."""

    value: float
    freedom: int


@dataclass(frozen=True)
class _MethodMean:
    """The mean drift of one method, over strata of means over models, and its variance in units of that mean, squared.

    replicates: (B,), of the mean, in units of the mean. between_models: one variance for each stratum. own: the part of
    the variance over samples that is each model's own; `between_models` holds it already. least: the smallest replicate
    of any stratum's mean.
    """

    mean: float
    replicates: Floats
    between_models: list[_Variance]
    own: float
    least: float


def hierarchical_reduction(
    reference: ArrayLike,
    comparison: ArrayLike,
    reference_estimate: ArrayLike,
    comparison_estimate: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    confidence: float = 0.95,
) -> EffectSize:
    """The reduction 1 - comparison / reference, of means over strata, with an interval over models and samples.

    reference: (m, B), comparison: (k, B) replicates of the drift of every trained model. Column b of all models of a
    stratum (task) is one resample of its samples; resamples of different strata are independent. *_estimate: (m,), (k,)
    drifts on the samples themselves. strata label reference, then comparison; None: one stratum.

    The interval is the log ratio +- Student's t x its standard error, transformed. The squared error is the sum over
    cells (stratum by method) of the variance between models / number of models, with Satterthwaite's degrees of freedom,
    plus the variance over resamples of the log ratio, minus the part of it that is each model's own noise; the last
    difference is not taken below zero. 95 % intervals cover 93 to 97 % in simulated studies with 3, 5 and 10 seeds, 1
    and 4 tasks, sample noise from none to thrice that of models (common, by method, by model), normal and t3 tails, and
    one method spreading thrice as much with equal numbers; with 3 such models against 10 in one task, 92.7 %.
    No interval, for the reason `missing`, if a cell has one model, or two where there is a single stratum (92 %), if
    models do not vary, or if a stratum's mean is not above zero in a resample. Undefined unless both means are above
    zero. The interval holds for these tasks, not for others.
    Raises ShapeError where shapes differ, NonFiniteError, ConfigError for fewer than 200 replicates or unless
    0 < confidence < 1.
    Source: Rao and Wu 1988 for the unbiased variance between few units; Satterthwaite 1946. Departure: that variance is
    used directly, with Student's t. Percentiles of a bootstrap over both cover 87 to 99 % for 3 seeds in one task,
    depending on whether the noise of models or of samples prevails.
    """
    upper = upper_level(confidence)
    methods: list[_MethodMean] = []
    labels = _labels_by_method(reference_estimate, comparison_estimate, strata)
    for name, values, estimate, own_labels in zip(
        ("reference", "comparison"),
        (reference, comparison),
        (reference_estimate, comparison_estimate),
        labels,
        strict=True,
    ):
        table, centre = _checked(values, estimate, name)
        of_method = _strata(own_labels)
        mean = float(np.mean([centre[stratum.models].mean() for stratum in of_method]))
        if mean <= 0:
            return EffectSize(None, None, f"the mean of {name} is {mean:g}: a log ratio needs means above zero")
        methods.append(_method_mean(table / mean, centre / mean, of_method, mean))
    ref, comp = methods
    estimate = 1 - comp.mean / ref.mean
    if ref.replicates.size != comp.replicates.size:
        raise ShapeError(
            f"reference and comparison should have the same resamples: got {ref.replicates.size}, {comp.replicates.size}"
        )
    between = [*ref.between_models, *comp.between_models]
    if (missing := _missing(ref, comp, between)) is not None:
        return EffectSize(estimate, None, missing)
    of_models = sum(variance.value for variance in between)
    of_samples = float(np.var(np.log(comp.replicates) - np.log(ref.replicates), ddof=1))
    total = of_models + max(0.0, of_samples - ref.own - comp.own)
    freedom = total**2 / sum(variance.value**2 / variance.freedom for variance in between)
    reach = student_quantile(upper, freedom) * math.sqrt(total)
    ratio = math.log(comp.mean / ref.mean)
    return EffectSize(estimate, Interval(1 - math.exp(ratio + reach), 1 - math.exp(ratio - reach)))


def hierarchical_replicates(
    replicates: ArrayLike, estimate: ArrayLike, *, strata: Sequence[object] | None = None, seed: int = 0
) -> Floats:
    """Replicates of the mean drift of every layer over models and samples, (B, L), such as `rank_layers` takes.

    replicates: (m, B, L), the drift of each trained model of one method on shared resamples, as in
    `hierarchical_reduction`; estimate: (m, L); strata label the models. A replicate of the mean over strata of means
    over models is a sum of three terms: the estimate; the error of the mean over these models in the resample; and a
    draw of what other seeds would change. The draw takes the deviations of models from their stratum's mean with random
    normal weights that give the variance s^2 / m, the same weights in all layers. With few models that variance is
    uncertain. The draws of a replicate are therefore stretched together by sqrt(df / chi^2(df)), df by Satterthwaite for
    the mean over layers; quantiles of replicates are then those of Student's t, not of the normal. Each model's own
    sample noise counts twice.
    Raises ShapeError where shapes differ or a stratum has one model, NonFiniteError for NaN or Inf.
    """
    values = np.asarray(replicates, dtype=np.float64)
    centre = finite_table(estimate, "estimate")
    if values.ndim != 3 or (values.shape[0], values.shape[2]) != centre.shape or values.size == 0:
        raise ShapeError(
            f"replicates should be (models, resamples, layers) for estimates (models, layers) {centre.shape}; "
            f"got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise NonFiniteError(
            f"replicates has {int((~np.isfinite(values)).sum())} values that are not finite: leave a resample without a "
            "value out, by name and for all models"
        )
    groups = _strata(stratum_labels(strata, len(centre), "model"))
    for stratum in groups:
        if stratum.models.size < 2:
            raise ShapeError(f"stratum {stratum.name!r} has one model: what other seeds would give needs two")
    generator = np.random.default_rng(seed)
    count = values.shape[1]
    of_models, of_samples = np.zeros((count, centre.shape[1])), np.zeros((count, centre.shape[1]))
    between: list[_Variance] = []
    for stratum in groups:
        own, m = centre[stratum.models], stratum.models.size
        deviations = own - own.mean(axis=0)
        of_models += generator.normal(size=(count, m)) @ deviations / math.sqrt(m * (m - 1)) / len(groups)
        of_samples += (values[stratum.models].mean(axis=0) - own.mean(axis=0)) / len(groups)
        between.append(_Variance(float(own.mean(axis=1).var(ddof=1)) / m, m - 1))
    total = sum(variance.value for variance in between)
    if total > 0:
        freedom = total**2 / sum(variance.value**2 / variance.freedom for variance in between)
        of_models *= np.sqrt(freedom / generator.chisquare(freedom, size=(count, 1)))
    return np.mean([centre[stratum.models].mean(axis=0) for stratum in groups], axis=0) + of_samples + of_models


def _missing(ref: _MethodMean, comp: _MethodMean, between: list[_Variance]) -> str | None:
    """The reason why there is no interval; None if there is one."""
    least_freedom = min(variance.freedom for variance in between)
    if least_freedom < 1:
        return "an interval over models needs two of each method in every stratum"
    if len(ref.between_models) == 1 and least_freedom < 2:
        return "two models of a method in a single stratum: an interval would not cover"
    if min(ref.least, comp.least) <= 0:
        return "the mean drift of a stratum is not above zero in every resample"
    if sum(variance.value for variance in between) == 0:
        return "trained models do not vary: an interval would be over samples alone"
    return None


def _method_mean(table: Floats, centre: Floats, strata: list[_Stratum], mean: float) -> _MethodMean:
    """Put one method together; `table` (m, B) and `centre` (m,) are in units of `mean`."""
    between: list[_Variance] = []
    own, least = 0.0, math.inf
    for stratum in strata:
        models = stratum.models
        m = models.size
        if m < 2:
            between.append(_Variance(0.0, 0))
            continue
        between.append(_Variance(float(centre[models].var(ddof=1)) / m / len(strata) ** 2, m - 1))
        # Each model's own part: its replicates as a share of the mean of its cell (which holds 1/m of the model). As a
        # difference from that mean, a change of all models by one factor would count by how far they are apart.
        cell = table[models].mean(axis=0)
        least = min(least, float(cell.min()))
        beside = table[models] / np.where(cell > 0, cell, 1.0)
        own += float(centre[models].mean() ** 2 * beside.var(axis=1, ddof=1).sum()) / (m - 1) / m / len(strata) ** 2
    replicates = np.mean([table[stratum.models].mean(axis=0) for stratum in strata], axis=0)
    return _MethodMean(mean, replicates, between, own, least)


def _labels_by_method(
    reference: ArrayLike, comparison: ArrayLike, strata: Sequence[object] | None
) -> tuple[list[str], list[str]]:
    m, k = np.size(np.asarray(reference)), np.size(np.asarray(comparison))
    labels = stratum_labels(strata, m + k, "model of reference, then of comparison")
    if set(labels[:m]) != set(labels[m:]):
        odd = sorted(set(labels[:m]) ^ set(labels[m:]))
        raise ShapeError(f"every stratum needs models of both methods; {odd} have those of one")
    return labels[:m], labels[m:]


def _strata(labels: list[str]) -> list[_Stratum]:
    array = np.array(labels)
    return [_Stratum(name, np.flatnonzero(array == name)) for name in dict.fromkeys(labels)]


def _checked(values: ArrayLike, estimate: ArrayLike, name: str) -> tuple[Floats, Floats]:
    table, centre = finite_table(values, name), finite(estimate, f"{name}_estimate")
    if len(table) != centre.size:
        raise ShapeError(f"{name} should have a row for each of its {centre.size} estimates, got {table.shape}")
    if table.shape[1] < LEAST_REPLICATES:
        raise ConfigError(f"{name} should have at least {LEAST_REPLICATES} replicates, got {table.shape[1]}")
    return table, centre
