"""Intervals over samples: how the samples of a task are drawn anew, and the interval that follows from the draws.

The draws are the same for every layer, measure and model of a task. So a difference or a ratio of two models is taken draw by
draw, and what the two share does not widen its interval. All these intervals are conditional on the trained models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from repdrift.core.confidence import student_quantile, upper_level
from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.core.group_words import is_grouped, no_interval_because
from repdrift.core.records.claims import Interval
from repdrift.core.records.representation_set import SetMetadata
from repdrift.drift.sample_units import ALONE, SampleUnits, method_words
from repdrift.similarity import resample_weights
from repdrift.similarity.uncertainty.delete_group import jackknife_groups
from repdrift.similarity.uncertainty.sample_groups import degrees_of_freedom, group_numbers, group_parts
from repdrift.statistics import bootstrap_interval, jackknife_interval
from repdrift.statistics.intervals import normal_quantile

Floats = NDArray[np.floating]
IntervalMethod = Literal["percentile", "bca", "jackknife"]
INTERVAL_METHODS: tuple[IntervalMethod, ...] = ("percentile", "bca", "jackknife")
MOST_ROWS = 20_000
"""Sets with more rows are neither resampled nor left out in groups: each group costs as much as the measure itself, and the
weights of 10,000 resamples take more than a gigabyte."""
_LEAST_ALONE = 5
"""Samples, of which one can be left out and enough stay for every measure."""
_OF_AN_OLDER_VERSION = (
    "the samples come in groups, which these sets of an older version do not name. Run `repdrift extract` once more: it keeps the sets, and "
    "writes the groups into them"
)


@dataclass(frozen=True)
class SamplingOptions:
    """Options of the intervals over samples.

    replicates: bootstrap resamples; 0 for none. groups: groups of samples that are left out in turn; 0 for none. Raises
    ConfigError for a method, a confidence or numbers that give no interval.
    """

    replicates: int = 10_000
    method: IntervalMethod = "jackknife"
    confidence: float = 0.95
    groups: int = 40

    def __post_init__(self) -> None:
        """Check what would fail only after hours of measuring."""
        faults: list[str] = []
        if self.method not in INTERVAL_METHODS:
            faults.append(f"the interval should be one of {', '.join(INTERVAL_METHODS)}; got {self.method!r}")
        if not 0 < self.confidence < 1:
            faults.append(f"a confidence lies between 0 and 1, such as 0.95; got {self.confidence}")
        elif 0 < self.replicates < (least := max(200, round(20 / (1 - self.confidence)))):
            faults.append(
                f"a confidence of {self.confidence:g} needs at least {least} replicates, or 0 for none; got {self.replicates}"
            )
        if self.replicates < 0 or self.groups < 0 or self.groups == 1:
            faults.append(
                f"replicates and groups are 0 (none) or more, groups not 1; got {self.replicates}, {self.groups}"
            )
        if self.method != "jackknife" and not self.replicates:
            faults.append(f"the {self.method} interval needs replicates")
        if faults:
            raise ConfigError("; ".join(faults))


@dataclass(frozen=True)
class Draws:
    """The draws of one sample set.

    weights: how often each row is drawn in each resample, (B, n). groups: the part of the samples that each row belongs to, (n,);
    parts are left out in turn. Both are None where rows are not drawn or left out. by_sample: True if each row is a sample that
    stands alone: no token, and in no group. units: what is drawn, in numbers and words.
    """

    weights: NDArray[np.integer] | None
    groups: NDArray[np.int64] | None
    by_sample: bool
    units: SampleUnits = ALONE


def draws_for(metadata: SetMetadata, options: SamplingOptions, *, grouped: bool = False) -> Draws:
    """Returns the draws of a sample set: the same for every set with its fingerprint, in every process.

    grouped: the task's samples come in groups, so that a set of an older version, which does not name them, has no draws.
    """
    if grouped and metadata.sample_groups is None:
        return Draws(None, None, by_sample=False, units=SampleUnits(missing=_OF_AN_OLDER_VERSION))
    by_token = metadata.pooling == "tokens"
    return draws_of(
        len(metadata.sample_ids),
        metadata.sample_groups,
        metadata.sample_set_fingerprint,
        options,
        unit=metadata.sample_group_unit,
        tokens_per_sample=(metadata.tokens_per_sample or []) if by_token else None,
        rows=metadata.shape[0],
    )


def draws_of(
    samples: int,
    groups: Sequence[str] | None,
    fingerprint: str,
    options: SamplingOptions,
    *,
    unit: str = "group",
    tokens_per_sample: Sequence[int] | None = None,
    rows: int | None = None,
) -> Draws:
    """Returns the draws of samples. groups: the group of each; None, or one sample in each group: they stand alone.

    Of samples in groups whole groups are drawn, and left out; groups are merged if there are more than `options.groups`. With too few
    groups, or one that holds more than half of the samples, nothing is drawn, and `units.missing` says so. tokens_per_sample: given where a row is a token; tokens of one sample
    are not independent, so whole samples are left out and none is drawn. Sets of more than MOST_ROWS rows have no draws.
    """
    rows = samples if rows is None else rows
    seed = int.from_bytes(hashlib.sha256(fingerprint.encode()).digest()[:6], "big")
    by_sample, units = tokens_per_sample is None, ALONE
    of_sample = weights = None
    if groups is not None and is_grouped(groups):
        by_sample, n_groups = False, len(set(groups))
        if (reason := no_interval_because(groups, unit)) is not None:
            return Draws(None, None, by_sample=False, units=SampleUnits(n_groups, unit, missing=reason))
        numbers = group_numbers(groups)
        units = SampleUnits(n_groups, unit, resampled_freedom=degrees_of_freedom(numbers))
        if options.groups and rows <= MOST_ROWS:
            of_sample = group_parts(groups, options.groups, seed=seed)
            units = replace(units, freedom=degrees_of_freedom(of_sample))
        if tokens_per_sample is None and options.replicates and rows <= MOST_ROWS:
            weights = resample_weights(n_groups, options.replicates, seed=seed, dtype=np.int8)[:, numbers]
    else:
        if options.groups and samples >= _LEAST_ALONE and rows <= MOST_ROWS:
            of_sample = jackknife_groups(samples, min(options.groups, samples), seed=seed)
        if by_sample and options.replicates and rows <= MOST_ROWS:
            weights = resample_weights(samples, options.replicates, seed=seed, dtype=np.int8)
    parts = of_sample if of_sample is None or tokens_per_sample is None else np.repeat(of_sample, tokens_per_sample)
    return Draws(weights, parts, by_sample, units)


def sample_interval(
    estimate: float,
    bootstrap: Floats | None,
    delete_group: Sequence[Floats] | None,
    options: SamplingOptions,
    *,
    log_scale: bool = False,
    units: Sequence[SampleUnits] | None = None,
) -> Interval | None:
    """Returns the interval over samples of one statistic; None if its draws are missing or one of them has no value.

    bootstrap: the statistic in every resample, (B,). delete_group: for every task that the statistic is about, (G,) values
    without each of its samples or groups. log_scale: makes the jackknife interval on the scale of the logarithm, where the
    errors of a positive statistic are nearer to symmetric. units: what is drawn of every task (None: single samples). Where that is groups, Student's t has the
    degrees of freedom of the groups, and the jackknife is corrected for bias where the units say so: the samples of a group are alike,
    which pulls the statistic. The interval then need not lie around the estimate.
    The method is that of the options, with two exceptions. Without a bootstrap it is the jackknife. If BCa was asked for and
    nothing was left out, it is percentiles. `Interval.method` says which was used.
    """
    if options.method == "jackknife" or bootstrap is None:
        parts = delete_group or []
        drawn = [ALONE] * len(parts) if units is None else units
        return _jackknife(estimate, parts, options.confidence, drawn, log_scale=log_scale) if parts else None
    if not np.isfinite(bootstrap).all():
        return None  # a resample in which a representation does not vary has no value
    if units is not None and any(of.n_groups is not None for of in units):
        return _of_group_resamples(estimate, bootstrap, options.confidence, units)
    if options.method == "bca" and delete_group is not None:
        try:
            found = bootstrap_interval(
                bootstrap,
                estimate,
                confidence=options.confidence,
                method="bca",
                leave_one_out=np.concatenate(delete_group),
            )
        except (DegenerateInputError, ConfigError):
            return None
        return _over_samples(float(found.low), float(found.high), "bootstrap BCa")
    found = bootstrap_interval(bootstrap, estimate, confidence=options.confidence)
    return _over_samples(float(found.low), float(found.high), "bootstrap percentile")


def group_pull(estimate: float, delete_group: Floats) -> float:
    """Returns by what share a positive statistic is off because samples of a group are alike, as the jackknife tells: -0.1 is 10 % too small.

    delete_group: (P,), the statistic without each part of the samples. NaN unless all of them are above 0.
    """
    values = np.asarray(delete_group, dtype=np.float64)
    if not (estimate > 0 and np.isfinite(values).all() and (values > 0).all()):
        return float("nan")
    return float(np.expm1((values.size - 1) * (np.log(values).mean() - np.log(estimate))))


def _over_samples(low: float, high: float, method: str) -> Interval:
    return Interval(over="samples", low=low, high=high, method=method)


def _jackknife(
    estimate: float, delete_group: Sequence[Floats], confidence: float, units: Sequence[SampleUnits], *, log_scale: bool
) -> Interval | None:
    values = [np.asarray(part, dtype=np.float64) for part in delete_group]
    if not all(np.isfinite(part).all() for part in values):
        return None
    method = method_words("jackknife", units)
    if log_scale and estimate > 0 and all((part > 0).all() for part in values):
        log = float(np.log(estimate))
        logs = [np.log(part) for part in values]
        centre, reach = log + _correction(logs, log, units), _reach(logs, log, confidence, units)
        return _over_samples(float(np.exp(centre - reach)), float(np.exp(centre + reach)), method)
    centre = estimate + _correction(values, estimate, units)
    reach = _reach(values, estimate, confidence, units)
    return _over_samples(centre - reach, centre + reach, method)


def _correction(parts: Sequence[Floats], estimate: float, units: Sequence[SampleUnits]) -> float:
    """Returns minus the jackknife's bias, over the tasks whose samples come in groups. Source: Quenouille 1956."""
    return sum(
        -(part.size - 1) * (float(part.mean()) - estimate)
        for part, of in zip(parts, units, strict=True)
        if of.corrected and of.n_groups is not None
    )


def _reach(parts: Sequence[Floats], estimate: float, confidence: float, units: Sequence[SampleUnits]) -> float:
    """Returns the half-width of the interval. Tasks have samples of their own, so the squares of their half-widths add."""
    reaches = [
        float(jackknife_interval(part, estimate, confidence=confidence, freedom=of.freedom).high) - estimate
        for part, of in zip(parts, units, strict=True)
    ]
    return float(np.sqrt(np.square(reaches).sum()))


def _of_group_resamples(
    estimate: float, bootstrap: Floats, confidence: float, units: Sequence[SampleUnits]
) -> Interval:
    """Returns percentiles of resamples of groups, which come reflected about the estimate, stretched from the normal to Student's t."""
    low, high = bootstrap_interval(bootstrap, estimate, confidence=confidence)
    level = upper_level(confidence)
    freedom = min(of.resampled_freedom for of in units if of.resampled_freedom is not None)
    stretch = student_quantile(level, freedom) / normal_quantile(level)
    if estimate > 0 and bool((bootstrap > 0).all()):
        centre = float(np.exp(np.log(bootstrap).mean()))
        low, high = centre * (low / centre) ** stretch, centre * (high / centre) ** stretch
    else:
        centre = float(bootstrap.mean())
        low, high = centre + stretch * (low - centre), centre + stretch * (high - centre)
    return _over_samples(low, high, method_words("bootstrap, reflected,", units))
