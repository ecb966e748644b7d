"""Size of the mean difference, beside what chance gives and beside the spread of samples.

The squared norm of a mean of n noisy differences is too large on average by its noise, tr(S) / n with S their covariance: where nothing
moved in common it is tr(S) / n, not 0. So this is taken off, as the products of each unit with itself are: what is left has the expectation of
the squared norm of the true shift, and lies below 0 about as often as above where there is none. It keeps its sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from repdrift.core.confidence import Interval, jackknife_reach
from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.directions.differences import Differences
from repdrift.similarity.uncertainty.sample_groups import degrees_of_freedom, group_parts

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeanShift:
    """Size of one mean difference; norms are Euclidean, in the unit of the representations.

    norm: of the mean difference as it is. noise: what its norm is expected to be where the samples have no shift in common: its standard
    error. squared: its squared norm without that of the noise; below 0 where the shift is smaller than noise makes it. spread: root mean square
    distance of the base model's rows from their mean. squared_interval: of `squared`; relative_squared_interval: of squared / spread^2. Both
    are over samples (whole units), conditional on the two models; None: there is none.
    """

    norm: float
    noise: float
    squared: float
    spread: float
    squared_interval: Interval | None
    relative_squared_interval: Interval | None

    @property
    def size(self) -> float | None:
        """Norm of the shift without its noise; None where noise alone gives as much."""
        return math.sqrt(self.squared) if self.squared > 0 else None

    @property
    def relative_size(self) -> float | None:
        """Size in spreads of the base model's samples; None where noise alone gives as much, or the samples do not differ."""
        return None if self.size is None or self.spread == 0 else self.size / self.spread

    @property
    def interval(self) -> Interval | None:
        """Interval of `size`. Its low end is 0 where no shift at all is among what the data allow."""
        return _root(self.squared_interval)

    @property
    def relative_interval(self) -> Interval | None:
        """Interval of `relative_size`."""
        return _root(self.relative_squared_interval)


def mean_shift(differences: Differences, *, confidence: float = 0.95, with_interval: bool = True) -> MeanShift:
    """Measures how large the shift is that all samples have in common.

    The intervals are jackknife intervals without each unit in turn, in closed form. with_interval: False where there are too few units.
    Raises DegenerateInputError if all rows are of one unit: then nothing tells shift from noise; ConfigError for a wrong confidence.
    Source: Efron and Stein 1981 (jackknife). The debiased squared norm is a U-statistic: Hoeffding 1948.
    """
    d = differences
    if d.n_units < 2:
        raise DegenerateInputError("all samples are of one group: what they have in common cannot be told from chance")
    sums = d.unit_sums
    total = sums.sum(dim=0)
    sizes = d.sizes.astype(np.float64)
    along = _numpy(sums @ total)
    own = _numpy(sums.square().sum(dim=1))
    whole, n = float(total.square().sum()), float(d.n)
    pairs = n**2 - float(np.square(sizes).sum())
    squared = (whole - float(own.sum())) / pairs
    raw = whole / n**2
    base = d.centred_base
    scatter = _numpy(d.summed(base.square().sum(dim=1)))
    spread = float(scatter.sum()) / n
    intervals: tuple[Interval | None, Interval | None] = (None, None)
    if with_interval and d.n_units > 2:
        left = n - sizes
        without = (whole - 2 * along + own - (own.sum() - own)) / (left**2 - (np.square(sizes).sum() - sizes**2))
        pulled = _numpy(d.summed(base).square().sum(dim=1))
        spread_without = (scatter.sum() - scatter - pulled / left) / left
        freedom = degrees_of_freedom(d.units)
        intervals = (
            _interval(squared, without, confidence, freedom),
            _interval(squared / spread, without / spread_without, confidence, freedom)
            if spread > 0 and bool((spread_without > 0).all())
            else None,
        )
    return MeanShift(math.sqrt(raw), math.sqrt(max(raw - squared, 0.0)), squared, math.sqrt(spread), *intervals)


def unit_products(differences: Differences, *, most: int = 1000, seed: int = 0) -> _Floats:
    """Products between the summed differences of all units: (m, m). A test of the shift needs nothing else of them.

    Beyond `most` units, whole units are put together at random into as many parts: a sign that is flipped for all of a part is
    a coarser choice of signs, and the test holds all the same.
    """
    sums = differences.unit_sums
    if len(sums) > most:
        parts = torch.as_tensor(group_parts(range(len(sums)), most, seed=seed), device=sums.device)
        sums = sums.new_zeros((most, sums.shape[1])).index_add_(0, parts, sums)
    return _numpy(sums @ sums.T)


def _interval(value: float, without: _Floats, confidence: float, freedom: float) -> Interval:
    reach = jackknife_reach(without, confidence, freedom)
    return Interval(value - reach, value + reach)


def _root(squared: Interval | None) -> Interval | None:
    if squared is None or squared.high < 0:
        return None
    return Interval(math.sqrt(max(squared.low, 0.0)), math.sqrt(squared.high))


def _numpy(x: torch.Tensor) -> _Floats:
    return np.asarray(x.cpu().numpy(), dtype=np.float64)
