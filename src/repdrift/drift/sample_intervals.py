"""What other samples would have given: one set of draws for every layer, measure and model of a task.

All intervals of this kind are conditional on the trained models. Because every model meets the same draws, a difference
or a ratio of two of them is taken draw by draw, which keeps what they share out of its interval.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.similarity import resample_weights
from repdrift.similarity.uncertainty.delete_group import jackknife_groups
from repdrift.statistics import bootstrap_interval, jackknife_interval

Floats = NDArray[np.floating]
IntervalMethod = Literal["percentile", "bca", "jackknife"]
INTERVAL_METHODS: tuple[IntervalMethod, ...] = ("percentile", "bca", "jackknife")
MOST_ROWS = 20_000
"""Rows up to which groups are left out and resamples drawn: beyond, every group costs as much as the measure itself, and the
weights of 10,000 resamples take more than a gigabyte."""


@dataclass(frozen=True)
class SamplingOptions:
    """How much is drawn, and how intervals are made from it. replicates, groups: 0 for none.

    Raises ConfigError for a method, a confidence or numbers that give no interval.
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


class Bounds(NamedTuple):
    """Two ends and how they were found."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Draws:
    """Of one task: how often each row is drawn (B, n), and the group in which each row is left out (n,); None: not at hand."""

    weights: NDArray[np.int32] | None
    groups: NDArray[np.int64] | None
    by_sample: bool
    """Whether a row is a sample: only then are rows drawn one by one."""


def draws_for(metadata: SetMetadata, options: SamplingOptions) -> Draws:
    """The draws of one sample set: the same for every set with its fingerprint, in every process.

    With pooling `tokens` a row is a token, and tokens of one sample are no independent draws: only groups of whole
    samples are then left out. Beyond MOST_ROWS rows there are neither groups nor resamples, whatever the pooling.
    """
    rows, samples = metadata.shape[0], len(metadata.sample_ids)
    seed = int.from_bytes(hashlib.sha256(metadata.sample_set_fingerprint.encode()).digest()[:6], "big")
    by_sample = metadata.pooling != "tokens"
    groups = None
    if options.groups and samples >= 5 and rows <= MOST_ROWS:
        of_sample = jackknife_groups(samples, min(options.groups, samples), seed=seed)
        groups = of_sample if by_sample else np.repeat(of_sample, metadata.tokens_per_sample or [])
    drawn = by_sample and options.replicates and rows <= MOST_ROWS
    weights = resample_weights(samples, options.replicates, seed=seed) if drawn else None
    return Draws(weights, groups, by_sample)


@dataclass
class TaskDraws:
    """Drift of one task's final models under one measure, in every draw.

    models: (method, seed). bootstrap: by layer (models, B); left_out: by layer (models, G), each of the G samples or groups
    left out. A layer is in both, in one, or in neither.
    """

    models: list[tuple[str, int]]
    layers: list[int]
    bootstrap: dict[int, Floats] = field(default_factory=dict)
    left_out: dict[int, Floats] = field(default_factory=dict)

    def of(self, models: Sequence[tuple[str, int]], layer: int | None) -> tuple[Floats | None, Floats | None]:
        """(len(models), B) and (len(models), G) at a layer, or of the mean over all layers; None where a layer has none."""
        rows = [self.models.index(model) for model in models]
        layers = self.layers if layer is None else [layer]
        return _mean(self.bootstrap, layers, rows), _mean(self.left_out, layers, rows)


def _mean(by_layer: dict[int, Floats], layers: Sequence[int], rows: Sequence[int]) -> Floats | None:
    if not layers or any(layer not in by_layer for layer in layers):
        return None
    total = np.zeros((len(rows), by_layer[layers[0]].shape[1]))
    for layer in layers:
        total += by_layer[layer][rows]
    return total / len(layers)


def sample_bounds(
    estimate: float,
    bootstrap: Floats | None,
    left_out: Sequence[Floats] | None,
    options: SamplingOptions,
    *,
    log_scale: bool = False,
) -> Bounds | None:
    """An interval over samples of one statistic; None where its draws are not at hand, or one of them has no value.

    By the method that was asked for, but for these, which `Bounds.method` tells: the jackknife where there is no bootstrap,
    percentiles where BCa was asked for and nothing was left out.

    bootstrap: (B,). left_out: for every task that it is about, (G,) with each of its samples or groups left out. log_scale: the
    jackknife on the scale of the logarithm, where errors of what is above 0 are nearer to symmetric.
    """
    if options.method == "jackknife" or bootstrap is None:
        return None if left_out is None else _jackknife(estimate, left_out, options.confidence, log_scale=log_scale)
    if not np.isfinite(bootstrap).all():
        return None  # a resample in which a side does not vary has no value
    if options.method == "bca" and left_out is not None:
        try:
            found = bootstrap_interval(
                bootstrap, estimate, confidence=options.confidence, method="bca", leave_one_out=np.concatenate(left_out)
            )
        except (DegenerateInputError, ConfigError):
            return None
        return Bounds(float(found.low), float(found.high), "bootstrap BCa")
    found = bootstrap_interval(bootstrap, estimate, confidence=options.confidence)
    return Bounds(float(found.low), float(found.high), "bootstrap percentile")


def _jackknife(estimate: float, left_out: Sequence[Floats], confidence: float, *, log_scale: bool) -> Bounds | None:
    values = [np.asarray(part, dtype=np.float64) for part in left_out]
    if not all(np.isfinite(part).all() for part in values):
        return None
    if log_scale and estimate > 0 and all((part > 0).all() for part in values):
        low, high = _several([np.log(part) for part in values], float(np.log(estimate)), confidence)
        return Bounds(float(np.exp(low)), float(np.exp(high)), "jackknife")
    return Bounds(*_several(values, estimate, confidence), "jackknife")


def _several(parts: Sequence[Floats], estimate: float, confidence: float) -> tuple[float, float]:
    """Tasks have samples of their own: squared reaches add, each with the degrees of freedom of its task."""
    reaches = [float(jackknife_interval(part, estimate, confidence=confidence).high) - estimate for part in parts]
    reach = float(np.sqrt(np.square(reaches).sum()))
    return estimate - reach, estimate + reach
