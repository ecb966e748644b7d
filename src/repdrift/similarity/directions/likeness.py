"""Likeness of the shifts of two tuned models: do both move all samples in the same direction?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from repdrift.core.confidence import Interval, jackknife_reach
from repdrift.core.errors import ShapeError
from repdrift.similarity.directions.differences import Differences, direction_cosine
from repdrift.similarity.uncertainty.sample_groups import degrees_of_freedom

_Floats = NDArray[np.float64]
_TWO_SIDED = 1.959964
"""Standard deviations beyond which 5 % of a normal distribution lie."""


@dataclass(frozen=True)
class ShiftLikeness:
    """Likeness of two mean differences from one base model.

    cosine: between the two as they are. unbiased: the same without what noise does to it; None where one of the shifts, with all
    units or without one of them, is no larger than noise; not held to [-1, 1]. interval: of `unbiased`, over samples (whole units), conditional on the models. chance: the size of the cosine that
    5 % of unrelated directions exceed, where these scatter as the models' own differences do about their means; at least that of directions that
    scatter evenly.
    """

    cosine: float
    unbiased: float | None
    interval: Interval | None
    chance: float

    @property
    def beyond_chance(self) -> bool:
        """True if the cosine is larger in size than that of most unrelated directions."""
        return abs(self.cosine) > self.chance


def likeness_of_shifts(
    first: Differences, second: Differences, *, confidence: float = 0.95, with_interval: bool = True
) -> ShiftLikeness:
    """Compares the mean differences of two tuned models over the same samples.

    Noise does two things to a plain cosine: that of each shift pulls it to 0, and since both models see the same samples, what a sample does in
    both pulls it to 1. Sums over pairs of different units have neither: unbiased = q12 / sqrt(q11 q22), with q the mean over i != j of Di'Ej.
    Raises ShapeError if samples, groups or features differ; DegenerateInputError if one shift is exactly zero.
    """
    if first.rows.shape != second.rows.shape or not np.array_equal(first.units, second.units):
        raise ShapeError(
            "two shifts are compared over the same samples in the same groups, and with the same features; "
            f"got {tuple(first.rows.shape)} and {tuple(second.rows.shape)}"
        )
    cosine = direction_cosine(first.mean, second.mean)
    chance = min(_TWO_SIDED * max(_scatter_cosine(first, second), 1 / math.sqrt(first.p)), 1.0)
    if first.n_units < 2:
        return ShiftLikeness(cosine, None, None, chance)
    sums = first.unit_sums, second.unit_sums
    products = [_PairSums.of(a, b, first.sizes) for a, b in (sums, (sums[0], sums[0]), (sums[1], sums[1]))]
    cross, one, two = (of.value for of in products)
    left = [of.without_one for of in products]
    # A shift that leaving out one unit turns to nothing is no larger than noise: dividing by it would give any number.
    if not (one > 0 and two > 0 and bool((left[1] > 0).all() and (left[2] > 0).all())):
        return ShiftLikeness(cosine, None, None, chance)
    unbiased, interval = cross / math.sqrt(one * two), None
    if with_interval:
        reach = jackknife_reach(left[0] / np.sqrt(left[1] * left[2]), confidence, degrees_of_freedom(first.units))
        interval = Interval(unbiased - reach, unbiased + reach)
    return ShiftLikeness(cosine, unbiased, interval, chance)


@dataclass(frozen=True)
class _PairSums:
    """Mean over pairs of different units of Di'Ej: with all units, and without each."""

    value: float
    without_one: _Floats

    @classmethod
    def of(cls, a: torch.Tensor, b: torch.Tensor, sizes: NDArray[np.int64]) -> _PairSums:
        total_a, total_b = a.sum(dim=0), b.sum(dim=0)
        own = _numpy((a * b).sum(dim=1))
        along = _numpy(a @ total_b + b @ total_a)
        whole, n = float(total_a @ total_b), float(sizes.sum())
        counts = sizes.astype(np.float64)
        pairs = n**2 - float(np.square(counts).sum())
        left = (n - counts) ** 2 - (np.square(counts).sum() - counts**2)
        if counts.size < 3:  # without one unit there is no pair
            left = np.full_like(left, np.nan)
        return cls((whole - float(own.sum())) / pairs, (whole - along + own - (own.sum() - own)) / left)


def _scatter_cosine(first: Differences, second: Differences) -> float:
    """Root mean square cosine between a direction drawn from the scatter of each: sqrt(tr(S1 S2) / (tr S1 tr S2)); 0 without scatter."""
    a, b = first.centred, second.centred
    squares = float(a.square().sum()) * float(b.square().sum())
    if squares == 0:
        return 0.0
    traced = (a @ b.T).square() if first.n <= first.p else (a.T @ a) * (b.T @ b)
    return math.sqrt(max(float(traced.sum()), 0.0) / squares)


def _numpy(x: torch.Tensor) -> _Floats:
    return np.asarray(x.cpu().numpy(), dtype=np.float64)
