"""Intervals over samples: how the samples of a task are drawn anew, and the interval that follows from the draws.

The draws are the same for every layer, measure and model of a task. So a difference or a ratio of two models is taken draw by
draw, and what the two share does not widen its interval. All these intervals are conditional on the trained models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.core.records.claims import Interval
from repdrift.core.records.representation_set import SetMetadata
from repdrift.similarity import resample_weights
from repdrift.similarity.uncertainty.delete_group import jackknife_groups
from repdrift.statistics import bootstrap_interval, jackknife_interval

Floats = NDArray[np.floating]
IntervalMethod = Literal["percentile", "bca", "jackknife"]
INTERVAL_METHODS: tuple[IntervalMethod, ...] = ("percentile", "bca", "jackknife")
MOST_ROWS = 20_000
"""Sets with more rows are neither resampled nor left out in groups: each group costs as much as the measure itself, and the
weights of 10,000 resamples take more than a gigabyte."""


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

    weights: how often each row is drawn in each resample, (B, n). groups: the group of each row, (n,); groups are left out
    in turn. Both are None where rows are not drawn or left out. by_sample: True if each row is a sample, not a token.
    """

    weights: NDArray[np.integer] | None
    groups: NDArray[np.int64] | None
    by_sample: bool


def draws_for(metadata: SetMetadata, options: SamplingOptions) -> Draws:
    """Returns the draws of a sample set: the same for every set with its fingerprint, in every process.

    With pooling `tokens` a row is a token, and tokens of one sample are not independent: then only groups of whole samples
    are left out. Sets of more than MOST_ROWS rows have neither groups nor resamples.
    """
    rows, samples = metadata.shape[0], len(metadata.sample_ids)
    seed = int.from_bytes(hashlib.sha256(metadata.sample_set_fingerprint.encode()).digest()[:6], "big")
    by_sample = metadata.pooling != "tokens"
    groups = None
    if options.groups and samples >= 5 and rows <= MOST_ROWS:
        of_sample = jackknife_groups(samples, min(options.groups, samples), seed=seed)
        groups = of_sample if by_sample else np.repeat(of_sample, metadata.tokens_per_sample or [])
    drawn = by_sample and options.replicates and rows <= MOST_ROWS
    weights = resample_weights(samples, options.replicates, seed=seed, dtype=np.int8) if drawn else None
    return Draws(weights, groups, by_sample)


def sample_interval(
    estimate: float,
    bootstrap: Floats | None,
    delete_group: Sequence[Floats] | None,
    options: SamplingOptions,
    *,
    log_scale: bool = False,
) -> Interval | None:
    """Returns the interval over samples of one statistic; None if its draws are missing or one of them has no value.

    bootstrap: the statistic in every resample, (B,). delete_group: for every task that the statistic is about, (G,) values
    without each of its samples or groups. log_scale: makes the jackknife interval on the scale of the logarithm, where the
    errors of a positive statistic are nearer to symmetric.
    The method is that of the options, with two exceptions. Without a bootstrap it is the jackknife. If BCa was asked for and
    nothing was left out, it is percentiles. `Interval.method` says which was used.
    """
    if options.method == "jackknife" or bootstrap is None:
        return (
            None
            if delete_group is None
            else _jackknife(estimate, delete_group, options.confidence, log_scale=log_scale)
        )
    if not np.isfinite(bootstrap).all():
        return None  # a resample in which a representation does not vary has no value
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


def _over_samples(low: float, high: float, method: str) -> Interval:
    return Interval(over="samples", low=low, high=high, method=method)


def _jackknife(
    estimate: float, delete_group: Sequence[Floats], confidence: float, *, log_scale: bool
) -> Interval | None:
    values = [np.asarray(part, dtype=np.float64) for part in delete_group]
    if not all(np.isfinite(part).all() for part in values):
        return None
    if log_scale and estimate > 0 and all((part > 0).all() for part in values):
        reach = _reach([np.log(part) for part in values], float(np.log(estimate)), confidence)
        log = float(np.log(estimate))
        return _over_samples(float(np.exp(log - reach)), float(np.exp(log + reach)), "jackknife")
    reach = _reach(values, estimate, confidence)
    return _over_samples(estimate - reach, estimate + reach, "jackknife")


def _reach(parts: Sequence[Floats], estimate: float, confidence: float) -> float:
    """Returns the half-width of the interval. Tasks have samples of their own, so the squares of their half-widths add."""
    reaches = [float(jackknife_interval(part, estimate, confidence=confidence).high) - estimate for part in parts]
    return float(np.sqrt(np.square(reaches).sum()))
