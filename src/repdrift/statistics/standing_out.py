"""Tells which samples have a larger share of the drift than the other samples, and chance, let expect.

A sample far from the mean has a large part in all differences, whatever moved. So the logarithm of the share is set beside that of the sample's
weight in the base model: by the line through the middle of all samples (least absolute deviations, which a fifth of special samples hardly move).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import upper_level

LEAST_TO_STAND_OUT = 20
"""Fewest samples among which one is said to stand out: with fewer the middle half says too little of the spread."""

Floats = NDArray[np.float64]

_MAD_TO_DEVIATION = 1.4826
"""Standard deviation of normal values by their median absolute deviation."""
_FEW = 5.5
"""The limit is raised by this by n, for the uncertainty of the spread: then the largest of n normal values passes it in 5 % of cases, for n from
20 to 750 (4,000 simulations each)."""
_TAIL = 0.02
"""Share of scores that are the tail."""
_LEAST_IN_TAIL = 3
_ROUNDS = 40
"""Rounds of reweighting, after which the line of least absolute deviations stays where it is."""
_LEAST_ON_LINE = 3
_LEAST_SPREAD = 0.1
_FAR = 3.0
"""Standard deviations beyond which a weight says no more about the share to expect."""


def excess_scores(shares: ArrayLike, weights: ArrayLike, *, floor: float = 0.0) -> Floats:
    """By how many robust standard deviations the log share of a sample lies above that of samples of its weight: (n,).

    shares, weights, floor: as for `times_expected`. The score is -inf for a sample without share or weight. A spread of less than a tenth counts as a tenth.
    """
    found = times_expected(shares, weights, floor=floor)
    there = np.isfinite(found) & (found > 0)
    above = np.log(found[there])
    scores = np.full(found.shape, -np.inf)
    if above.size:
        scores[there] = above / max(_LEAST_SPREAD, _MAD_TO_DEVIATION * float(np.median(np.abs(above))))
    return scores


def times_expected(shares: ArrayLike, weights: ArrayLike, *, floor: float = 0.0) -> Floats:
    """Each share by that of samples of its weight: (n,), the middle one 1; 0 for a sample without share, NaN for one without weight.

    shares, weights: (n,), 0 or more. floor: a share that is less than this part of the weight counts as so much, since less may be noise.
    """
    weight = np.asarray(weights, dtype=np.float64)
    share = np.maximum(np.asarray(shares, dtype=np.float64), floor * weight)
    there = (share > 0) & (weight > 0)
    found = np.where(weight > 0, 0.0, np.nan)
    if there.sum() < _LEAST_ON_LINE:
        found[there] = 1.0
        return found
    above = _above_line(np.log(share[there]), np.log(weight[there]))
    found[there] = np.exp(above - np.median(above))
    return found


def score_limit(n: int, *, tests: int = 1, by_chance: Sequence[Floats] = (), level: float = 0.05) -> float:
    """The score above which a sample stands out: infinite for fewer than LEAST_TO_STAND_OUT samples.

    The largest of n normal values passes it with the chance `level` / tests. Where scores of samples that moved by chance alone have a longer upper
    tail, it is as much higher as their tail is longer. tests: lists that are looked through. by_chance: scores of `excess_scores` in draws in
    which no sample is special. Raises ConfigError unless 0 < level < 1.
    """
    upper_level(1 - level)
    if n < LEAST_TO_STAND_OUT:
        return float("inf")
    return float(-ndtri(level / (tests * n))) * (1 + _FEW / n) * max(1.0, _tail(by_chance))


def _tail(by_chance: Sequence[Floats]) -> float:
    """The mean quotient of the largest scores and what they would be in a normal law; 1 without scores."""
    scores = np.concatenate([np.asarray(of, dtype=np.float64) for of in by_chance]) if by_chance else np.array([])
    scores = np.sort(scores[np.isfinite(scores)])[::-1]
    if scores.size < LEAST_TO_STAND_OUT:
        return 1.0
    ranks = np.arange(max(_LEAST_IN_TAIL, round(_TAIL * scores.size)))
    normal = np.asarray(-ndtri((ranks + 0.625) / (scores.size + 0.25)), dtype=np.float64)
    return float((scores[ranks] / normal).mean())


def _above_line(y: Floats, x: Floats) -> Floats:
    """Distances of y (n,) from its line of least absolute deviations on x (n,), by reweighted least squares.

    Values of x far from the middle pull on the line no more than those at _FAR. Above it y may also be in proportion to x from the middle on, whichever is
    more, and below it y is expected to stay: so that a sample with a weight like no other is not said to have moved for that alone.
    """
    spread = _MAD_TO_DEVIATION * float(np.median(np.abs(x - np.median(x))))
    if spread <= 0:
        return y - np.median(y)
    z = (x - np.median(x)) / spread
    columns = np.stack([np.ones_like(z), np.clip(z, -_FAR, _FAR)], axis=1)
    roots, line, residual = np.ones_like(y), np.zeros(2), y
    for _ in range(_ROUNDS):
        line = np.linalg.lstsq(columns * roots[:, None], y * roots, rcond=None)[0]
        residual = y - columns @ line
        least = max(1e-3 * float(np.median(np.abs(residual))), np.finfo(np.float64).tiny)
        roots = 1 / np.sqrt(np.maximum(np.abs(residual), least))
    steeper = float(line[0]) + max(float(line[1]), spread) * z
    return np.where(z > _FAR, np.minimum(residual, y - steeper), residual)
