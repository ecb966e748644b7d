"""Intervals over trained models and evaluation samples at once, from replicates on shared resamples of the samples.

The drift of a trained model, measured on n samples, is off by noise of two kinds: other seeds would give other models,
other samples other drifts of the same models. An interval over one of them says nothing of the other. Sample noise is
in part common to all models of a task, as they are measured on the same samples, and in part each model's own. The
spread between models holds the latter too, so that adding an interval's variance over samples would count it twice: it
is taken out once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics.arrangements import Floats, finite
from repdrift.statistics.effect_size import EffectSize
from repdrift.statistics.quantiles import student_quantile, upper_level
from repdrift.statistics.tables import finite_table

LEAST_REPLICATES = 200
"""A standard deviation over fewer is off by more than 5 %."""


@dataclass(frozen=True)
class _Cells:
    """Models by stratum: rows of each, and a name for messages."""

    rows: list[np.ndarray]
    names: list[str]


@dataclass(frozen=True)
class _Side:
    """One method: the mean over strata of means over models, and its variance, in units of that mean, squared.

    replicates: (B,) of the mean, itself in units of the mean. models: for each stratum (variance, degrees of freedom);
    own: the part of the variance over samples that is each model's own, and in `models` already. least: the smallest
    replicate of any stratum's mean.
    """

    mean: float
    replicates: Floats
    models: list[tuple[float, int]]
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
    """1 - comparison / reference, of means over strata of means over models, with an interval over models and samples.

    reference: (m, B), comparison: (k, B) replicates of the drift of every trained model; column b of all rows of a
    stratum (task) is one resample of its samples, and resamples of different strata are independent. *_estimate: (m,),
    (k,) drifts on the samples themselves. strata label reference, then comparison; None: one stratum.

    Interval: log ratio +- Student's t x its standard error, transformed. Squared error = sum over cells (stratum by
    method) of the variance between models / number of models, of Satterthwaite's degrees of freedom, + the variance
    over resamples of the log ratio, - the part of it that is each model's own noise, the difference not below zero.
    95 % intervals cover 93 to 97 % in simulated studies with 3, 5 and 10 seeds, 1 and 4 tasks, sample noise from none to
    thrice that of models (common, by method, by model), normal and t3 tails, and one method spreading thrice as much
    with equal numbers; with 3 such models against 10 in one task, 92.7 %.
    No interval, for the reason `missing`, if a cell has one model, or two where there is a single stratum (92 %), if
    models do not vary, or if a stratum's mean is not above zero in a resample. Undefined unless both means are above zero. Speaks
    of these tasks, not of others.
    Raises ShapeError where shapes differ, NonFiniteError, ConfigError for fewer than 200 replicates or unless
    0 < confidence < 1.
    Source: Rao and Wu 1988 for the unbiased variance between few units; Satterthwaite 1946. Departure: that variance
    directly, with Student's t, in the place of percentiles of a bootstrap over both, which for 3 seeds in one task cover 87
    to 99 %, as models or their own sample noise prevail.
    """
    upper = upper_level(confidence)
    sides: list[_Side] = []
    labels = _labels(reference_estimate, comparison_estimate, strata)
    for name, values, estimate, own in zip(
        ("reference", "comparison"),
        (reference, comparison),
        (reference_estimate, comparison_estimate),
        labels,
        strict=True,
    ):
        table, centre = _checked(values, estimate, name)
        cells = _cells(own)
        mean = float(np.mean([centre[rows].mean() for rows in cells.rows]))
        if mean <= 0:
            reason = f"the mean of {name} is {mean:g}: a log ratio needs means above zero"
            return EffectSize(None, None, None, confidence, reason)
        sides.append(_side(table / mean, centre / mean, cells, mean))
    ref, comp = sides
    estimate = 1 - comp.mean / ref.mean
    if ref.replicates.size != comp.replicates.size:
        raise ShapeError(
            f"reference and comparison should have the same resamples: got {ref.replicates.size}, {comp.replicates.size}"
        )
    if min(freedom for side in sides for _, freedom in side.models) < 1:
        return EffectSize(
            estimate, None, None, confidence, "an interval over models needs two of each method in every stratum"
        )
    if len(ref.models) == 1 and min(freedom for side in sides for _, freedom in side.models) < 2:
        return EffectSize(
            estimate, None, None, confidence, "two models of a method in a single stratum: an interval would not cover"
        )
    if min(side.least for side in sides) <= 0:
        return EffectSize(
            estimate, None, None, confidence, "the mean drift of a stratum is not above zero in every resample"
        )
    models = [part for side in sides for part in side.models]
    of_models = sum(variance for variance, _ in models)
    of_samples = float(np.var(np.log(comp.replicates) - np.log(ref.replicates), ddof=1))
    if of_models == 0:
        return EffectSize(
            estimate, None, None, confidence, "trained models do not vary: an interval is of samples alone"
        )
    total = of_models + max(0.0, of_samples - ref.own - comp.own)
    freedom = total**2 / sum(variance**2 / df for variance, df in models)
    reach = student_quantile(upper, freedom) * math.sqrt(total)
    ratio = math.log(comp.mean / ref.mean)
    return EffectSize(estimate, 1 - math.exp(ratio + reach), 1 - math.exp(ratio - reach), confidence)


def hierarchical_replicates(
    replicates: ArrayLike, estimate: ArrayLike, *, strata: Sequence[object] | None = None, seed: int = 0
) -> Floats:
    """Replicates of the mean drift of every layer over models and samples, for `rank_layers` and the like: (B, L).

    replicates: (m, B, L), of the drift of each trained model of one method on shared resamples, as in
    `hierarchical_reduction`; estimate: (m, L); strata label the models. The replicate of a mean over strata of means
    over models is the estimate, plus what the mean over these models is off in the resample, plus a draw of what other
    seeds would change: deviations of models from their stratum's mean, with random normal weights that give the
    variance s^2 / m, the same weights in all layers. So few models leave that variance uncertain, and the draws of a
    replicate are stretched together by sqrt(df / chi^2(df)), df by Satterthwaite of the mean over layers: quantiles of
    replicates are then those of Student's t, not of the normal. Each model's own sample noise counts twice.
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
    labels = ["all"] * len(centre) if strata is None else [str(label) for label in strata]
    if len(labels) != len(centre):
        raise ShapeError(f"strata should label every model: expected {len(centre)}, got {len(labels)}")
    cells = _cells(labels)
    for name, rows in zip(cells.names, cells.rows, strict=True):
        if rows.size < 2:
            raise ShapeError(f"stratum {name!r} has one model: what other seeds would give needs two")
    generator = np.random.default_rng(seed)
    count = values.shape[1]
    of_models, of_samples = np.zeros((count, centre.shape[1])), np.zeros((count, centre.shape[1]))
    parts: list[tuple[float, int]] = []
    for rows in cells.rows:
        m = rows.size
        deviations = centre[rows] - centre[rows].mean(axis=0)
        of_models += generator.normal(size=(count, m)) @ deviations / math.sqrt(m * (m - 1)) / len(cells.rows)
        of_samples += (values[rows].mean(axis=0) - centre[rows].mean(axis=0)) / len(cells.rows)
        parts.append((float(centre[rows].mean(axis=1).var(ddof=1)) / m, m - 1))
    total = sum(variance for variance, _ in parts)
    if total > 0:
        freedom = total**2 / sum(variance**2 / df for variance, df in parts)
        of_models *= np.sqrt(freedom / generator.chisquare(freedom, size=(count, 1)))
    return np.mean([centre[rows].mean(axis=0) for rows in cells.rows], axis=0) + of_samples + of_models


def _side(table: Floats, centre: Floats, cells: _Cells, mean: float) -> _Side:
    """`table` (m, B) and `centre` (m,) in units of `mean`."""
    strata = len(cells.rows)
    models: list[tuple[float, int]] = []
    own, least = 0.0, math.inf
    for rows in cells.rows:
        m = rows.size
        if m < 2:
            models.append((0.0, 0))
            continue
        models.append((float(centre[rows].var(ddof=1)) / m / strata**2, m - 1))
        # What a model does beside the mean of its cell, which holds 1/m of it. As a share of that mean: what the
        # samples change in all models alike would else be counted by how far the models are apart.
        cell = table[rows].mean(axis=0)
        least = min(least, float(cell.min()))
        beside = table[rows] / np.where(cell > 0, cell, 1.0)
        own += float(centre[rows].mean() ** 2 * beside.var(axis=1, ddof=1).sum()) / (m - 1) / m / strata**2
    return _Side(mean, np.mean([table[rows].mean(axis=0) for rows in cells.rows], axis=0), models, own, least)


def _labels(
    reference: ArrayLike, comparison: ArrayLike, strata: Sequence[object] | None
) -> tuple[list[str], list[str]]:
    m, k = np.size(np.asarray(reference)), np.size(np.asarray(comparison))
    if strata is None:
        return ["all"] * m, ["all"] * k
    labels = [str(label) for label in strata]
    if len(labels) != m + k:
        raise ShapeError(
            f"strata should label every model of reference, then of comparison: expected {m + k}, got {len(labels)}"
        )
    if set(labels[:m]) != set(labels[m:]):
        odd = sorted(set(labels[:m]) ^ set(labels[m:]))
        raise ShapeError(f"every stratum needs models of both methods; {odd} have those of one")
    return labels[:m], labels[m:]


def _cells(labels: list[str]) -> _Cells:
    names = list(dict.fromkeys(labels))
    array = np.array(labels)
    return _Cells([np.flatnonzero(array == name) for name in names], names)


def _checked(values: ArrayLike, estimate: ArrayLike, name: str) -> tuple[Floats, Floats]:
    table, centre = finite_table(values, name), finite(estimate, f"{name}_estimate")
    if len(table) != centre.size:
        raise ShapeError(f"{name} should have a row for each of its {centre.size} estimates, got {table.shape}")
    if table.shape[1] < LEAST_REPLICATES:
        raise ConfigError(f"{name} should have at least {LEAST_REPLICATES} replicates, got {table.shape[1]}")
    return table, centre
