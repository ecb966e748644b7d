"""Tells which samples have a larger share of the drift than the other samples, and chance, let expect.

A sample far from the mean has a large part in all differences, whatever moved. So the logarithm of the share is set beside that of the sample's
weight in the base model: by the line through the middle of all samples (least absolute deviations, which a fifth of special samples hardly move).
"""

from __future__ import annotations

from collections.abc import Iterable

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
_ROUNDS = 40
"""Rounds of reweighting, after which the line of least absolute deviations stays where it is."""
_FAR = 3.0
"""Standard deviations beyond which a weight says no more about the share to expect."""


def excess_scores(shares: ArrayLike, weights: ArrayLike) -> Floats:
    """By how many robust standard deviations the log share of a sample lies above that of samples of its weight: (n,).

    shares, weights: (n,), 0 or more. The score is -inf for a sample without share or weight, and for all where more than half lie on the line.
    """
    share, weight = np.asarray(shares, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    there = (share > 0) & (weight > 0)
    scores = np.full(share.shape, -np.inf)
    if there.sum() < 3:
        return scores
    above = _above_line(np.log(share[there]), np.log(weight[there]))
    above -= np.median(above)
    spread = _MAD_TO_DEVIATION * float(np.median(np.abs(above)))
    if spread > 0:
        scores[there] = above / spread
    return scores


def score_limit(n: int, *, tests: int = 1, by_chance: Iterable[Floats] = (), level: float = 0.05) -> float:
    """The score above which a sample stands out: infinite for fewer than LEAST_TO_STAND_OUT samples.

    It is the larger one of two: what the largest of n normal values passes with the chance `level` / tests, and the largest score of samples that
    moved by chance alone. tests: lists that are looked through. by_chance: scores in draws in which no sample is special. Raises ConfigError
    unless 0 < level < 1.
    """
    upper_level(1 - level)
    if n < LEAST_TO_STAND_OUT:
        return float("inf")
    of_normal = float(-ndtri(level / (tests * n))) * (1 + _FEW / n)
    return max([of_normal, *(float(scores.max(initial=-np.inf)) for scores in by_chance)])


def _above_line(y: Floats, x: Floats) -> Floats:
    """Distances of y (n,) from its line of least absolute deviations on x (n,), by reweighted least squares."""
    spread = float(x.std())
    z = np.clip((x - np.median(x)) / spread, -_FAR, _FAR) if spread > 0 else np.zeros_like(x)
    columns = np.stack([np.ones_like(z), z], axis=1)[:, : 2 if spread > 0 else 1]
    roots = np.ones_like(y)
    residual = y
    for _ in range(_ROUNDS):
        line = np.linalg.lstsq(columns * roots[:, None], y * roots, rcond=None)[0]
        residual = y - columns @ line
        least = max(1e-3 * float(np.median(np.abs(residual))), np.finfo(np.float64).tiny)
        roots = 1 / np.sqrt(np.maximum(np.abs(residual), least))
    return residual
