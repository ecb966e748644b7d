"""The mean over samples of the cosine between the two sides' rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.stats import t as student_t
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import Interval


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Rows scaled to length 1: (n, p)."""

    rows: Tensor


def unit_rows(x: Tensor) -> UnitRows:
    """Scale every row of x (n, p) to length 1. Raises DegenerateInputError naming a row that is all zero."""
    largest = x.abs().amax(dim=1, keepdim=True)
    if bool((largest == 0).any()):
        row = int((largest.squeeze(1) == 0).nonzero()[0])
        raise DegenerateInputError(f"sample {row} is a vector of zeros: its cosine is undefined")
    scaled = x / largest  # squares of large activations stay in range
    return UnitRows(scaled / scaled.norm(dim=1, keepdim=True))


def row_cosines(x: UnitRows, y: UnitRows) -> Tensor:
    """Cosine of each pair of rows: (n,). Computed as 1 - |x - y|^2 / 2, which keeps its digits where it is near 1."""
    require_paired(x.rows.shape[0], y.rows.shape[0])
    if x.rows.shape[1] != y.rows.shape[1]:
        raise ShapeError(f"cosine needs the same features on both sides, got {x.rows.shape[1]} and {y.rows.shape[1]}")
    return 1 - (x.rows - y.rows).square().sum(dim=1) / 2


def mean_interval(values: Tensor, confidence: float) -> Interval:
    """Student's interval of the mean of `values` (n,)."""
    n = values.shape[0]
    reach = float(student_t.ppf(0.5 + confidence / 2, n - 1)) * float(values.std()) / math.sqrt(n)
    centre = float(values.mean())
    return Interval(centre - reach, centre + reach)


def permuted_rows(y: UnitRows, index: Tensor) -> UnitRows:
    """The same rows in another order."""
    return UnitRows(torch.index_select(y.rows, 0, index))
