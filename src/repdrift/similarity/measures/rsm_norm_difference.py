"""RSM norm difference: how far two matrices of similarities between samples lie apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from repdrift.similarity.arrays import require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.gram import gram
from repdrift.similarity.invariances import OF_SHAPE
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.subspaces.alignment import unit


@dataclass(frozen=True, eq=False)
class Similarities:
    """Centred linear similarities K / tr K of n samples, in the smaller of two forms.

    Where n <= p, `table` is that matrix itself (n, n) and `is_matrix` is true; else it is rows (n, p), whose products are
    the matrix.
    """

    table: Tensor
    is_matrix: bool

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.table.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.table.device

    @cached_property
    def matrix(self) -> Tensor:
        """The matrix (n, n)."""
        return self.table if self.is_matrix else gram(self.table)

    def permuted(self, order: Tensor) -> Similarities:
        """Put the samples in another order."""
        table = self.table[order]
        return Similarities(table[:, order] if self.is_matrix else table, self.is_matrix)


@register
class RsmNormDifference(Measure):
    """||K / tr K - L / tr L||_F of the linear kernels K = XX', L = YY' of centred representations.

    This is the root mean square, over all n^2 pairs of samples, of the change of their similarity, in units of the mean
    squared length of a row. Departures: Yin and Shen, and the survey of Klabunde et al., take K and L as they are; their
    value grows with n and with the square of the units, and layers cannot be compared by it. A value from sums that is
    below about 1e-7 is rounding (3e-4 with float32 products).
    """

    name = "rsm_norm_difference"
    title = "RSM norm difference"
    description = "Frobenius norm of the difference of the linear similarity matrices, centred, each of trace 1."
    bounds = (0.0, math.sqrt(2))
    self_value = 0.0
    higher_is_similar = False
    reference = "Yin and Shen 2018 (PIP loss); Klabunde et al. 2023"
    streaming = EXACT
    invariances = OF_SHAPE
    cost = "n^2 p to prepare and n^2 to compare where n <= p, else n (p + q) min(n, p + q) to compare"

    def derive(self, representation: Representation) -> Similarities:
        """Compute the similarities."""
        return representation.shared(_similarities)

    def compare(self, x: Similarities, y: Similarities) -> float:
        """Norm of the difference. Raises ShapeError unless both have the same samples."""
        require_paired(x.n, y.n)
        if x.is_matrix or y.is_matrix or x.n <= x.table.shape[1] + y.table.shape[1]:
            return float(torch.linalg.vector_norm(x.matrix - y.matrix))
        # In an orthonormal basis of both sides' columns the matrices are p + q wide, and still subtracted one by one:
        # ||K||^2 + ||L||^2 - 2 ||X'Y||^2 would be smaller work, without a digit where little has changed.
        both = torch.linalg.qr(torch.cat([x.table, y.table], dim=1), mode="r").R
        p = x.table.shape[1]
        return float(torch.linalg.vector_norm(gram(both[:, :p]) - gram(both[:, p:])))

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means."""
        s = result.scatter
        xx, yy = s.xx / s.xx.trace(), s.yy / s.yy.trace()
        xy = s.xy.square().sum() / s.xx.trace() / s.yy.trace()
        return math.sqrt(max(0.0, float(xx.square().sum() + yy.square().sum() - 2 * xy)))  # negative by rounding only


def _similarities(representation: Representation) -> Similarities:
    rows = unit(representation.centred)
    is_matrix = representation.n <= representation.p
    return Similarities(gram(rows) if is_matrix else rows, is_matrix)
