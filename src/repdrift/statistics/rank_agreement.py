"""Agreement of several models on an order of samples: Kendall's W, tested by permuting the samples of each model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from repdrift.core.errors import NonFiniteError, ShapeError

AGREEMENT_DRAWS = 1999
_TIE = 1e-12


@dataclass(frozen=True)
class RankAgreement:
    """The agreement of m models on the order of n units.

    w: Kendall's W, 0 (none) to 1 (one order), with the correction for ties. correlation: the mean of Spearman's correlation over all pairs of
    models, -1 / (m - 1) to 1. pvalue: the share of draws, in which the units of each model are shuffled, with at least this correlation.
    Its least value is 1 / (draws + 1).
    """

    w: float
    correlation: float
    pvalue: float
    models: int
    units: int


def rank_agreement(values: ArrayLike, *, draws: int = AGREEMENT_DRAWS, seed: int = 0) -> RankAgreement | None:
    """Kendall's W of the rows of `values`, (m, n): m models, n units. None if all values of a model are equal, so that it gives no order.

    Raises ShapeError unless there are 2 models and 3 units at least, NonFiniteError for NaN or Inf.
    Source: Kendall and Babington Smith 1939; the permutation null of concordance.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 3:
        raise ShapeError(f"values should have the shape (2 or more models, 3 or more units), got {x.shape}")
    if not np.isfinite(x).all():
        raise NonFiniteError(f"{int((~np.isfinite(x)).sum())} of {x.size} values are NaN or Inf")
    ranks = np.asarray(rankdata(x, axis=1), dtype=np.float64)
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    if not (lengths > 0).all():
        return None
    models, units = x.shape
    unit = ranks / lengths
    correlation = _mean_correlation(unit)
    generator = np.random.default_rng(seed)
    hits = sum(_mean_correlation(generator.permuted(unit, axis=1)) >= correlation - _TIE for _ in range(draws))
    # With ties W is the sum of squares of the rank sums by its most, m times the sum of the models' own sums of squares.
    w = float(np.square(ranks.sum(axis=0)).sum() / (models * np.square(ranks).sum()))
    return RankAgreement(w, correlation, (1 + hits) / (1 + draws), models, units)


def _mean_correlation(unit: np.ndarray) -> float:
    """Mean over pairs of the inner products of rows (m, n) of length 1."""
    m = unit.shape[0]
    return float((np.square(unit.sum(axis=0)).sum() - m) / (m * (m - 1)))
