"""Attention or MLP: the difference between the drifts of two sites of the same models, with its intervals and its test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import student_quantile, upper_level
from repdrift.core.records.claims import Interval
from repdrift.core.records.site_drift import AttentionOrMlp
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.sample_intervals import SamplingOptions, sample_interval
from repdrift.drift.sample_units import SampleUnits
from repdrift.statistics import paired_difference, sign_flip_test

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class DrawnDifference:
    """The difference of two sites' drifts on one task, mean over its models, when samples are drawn anew.

    bootstrap: (B,) in each resample; delete_group: (G,) without each part of the samples. None where samples were not drawn so.
    """

    bootstrap: Floats | None
    delete_group: Floats | None
    units: SampleUnits


def site_difference(
    method: str,
    layers: Sequence[int],
    attention: Sequence[float],
    mlp: Sequence[float],
    tasks: Sequence[str],
    drawn: Sequence[DrawnDifference],
    options: SamplingOptions,
) -> AttentionOrMlp:
    """Returns the drift of attention's output minus that of the MLP's, mean over tasks of means over models.

    attention, mlp: (m,), each model's mean drift over `layers`, with its task in `tasks`. drawn: for every task, in the order in
    which tasks appear; empty if samples were not drawn. Several models: signs of their differences are flipped, tasks being strata.
    One model: the test is over samples, for this model. Differences that are rounding count as 0.
    """
    differences = np.array(attention, dtype=float) - np.array(mlp, dtype=float)
    differences[np.abs(differences) <= ZERO_DRIFT] = 0.0
    names = list(dict.fromkeys(tasks))
    labels = np.array(tasks)

    def pooled(values: Sequence[float] | Floats) -> float:
        by_task = np.asarray(values, dtype=float)
        return float(np.mean([by_task[labels == name].mean() for name in names]))

    estimate = pooled(differences)
    intervals: list[Interval] = []
    over_models = paired_difference(differences, strata=tasks, confidence=options.confidence)
    if over_models.interval is not None:
        low, high = over_models.interval
        intervals.append(Interval(over="models", low=low, high=high, method="paired, Student's t"))
    over_samples = _over_samples(estimate, [pooled_part(differences, labels, name) for name in names], drawn, options)
    intervals += [] if over_samples is None else [over_samples]
    found = AttentionOrMlp(
        method=method,
        layers=list(layers),
        n_models=len(differences),
        attention_drift=pooled(attention),
        mlp_drift=pooled(mlp),
        difference=estimate,
        intervals=intervals,
    )
    if len(differences) > 1:
        flips = sign_flip_test(differences, strata=tasks, alternative="two-sided")
        tested = {
            "over": "models",
            "pvalue": flips.pvalue,
            "smallest_pvalue": flips.smallest_pvalue,
            "test": "sign flips",
        }
        return found.model_copy(update=tested)
    if over_samples is not None and (p := _of_one_model(over_samples, drawn[0], options.confidence)) is not None:
        return found.model_copy(
            update={"over": "samples", "pvalue": p, "test": f"Student's t of the {over_samples.method}"}
        )
    return found


def pooled_part(differences: Floats, labels: NDArray[np.str_], name: str) -> float:
    """Returns the mean difference of one task's models."""
    return float(differences[labels == name].mean())


def _over_samples(
    estimate: float, wholes: Sequence[float], drawn: Sequence[DrawnDifference], options: SamplingOptions
) -> Interval | None:
    """Returns the interval over samples of the mean over tasks. wholes: each task's difference on all its samples."""
    if len(drawn) < len(wholes):
        return None
    bootstraps = [of.bootstrap for of in drawn if of.bootstrap is not None]
    parts = [of.delete_group for of in drawn if of.delete_group is not None]
    total, n = sum(wholes), len(wholes)
    deleted = None
    if len(parts) == n:
        deleted = [(part + (total - whole)) / n for part, whole in zip(parts, wholes, strict=True)]
    resampled = np.mean(bootstraps, axis=0) if len(bootstraps) == n else None
    if resampled is None and deleted is None:
        return None
    found = sample_interval(estimate, resampled, deleted, options, units=[of.units for of in drawn])
    return None if found is None or found.high - found.low <= ZERO_DRIFT else found


def _of_one_model(interval: Interval, drawn: DrawnDifference, confidence: float) -> float | None:
    """Returns the two-sided p of a difference of 0 that goes with a jackknife interval; None for another kind of interval."""
    if not interval.method.startswith("jackknife") or drawn.delete_group is None:
        return None
    freedom = drawn.delete_group.size - 1 if drawn.units.freedom is None else drawn.units.freedom
    reach, centre = (interval.high - interval.low) / 2, (interval.high + interval.low) / 2
    error = reach / student_quantile(upper_level(confidence), freedom)
    return float(2 * stdtr(freedom, -math.fabs(centre) / error))
