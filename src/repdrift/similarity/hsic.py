"""Gram matrices and the unbiased HSIC estimator, with its leave-one-out values in closed form.

K and L are the Gram matrices of centred representations with their diagonals set to zero. For linear kernels the
estimator does not change under centring, in exact arithmetic; centring first is what keeps it accurate.
Source: Song et al. 2012, eq. 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.inputs import Representation, as_float64, centred, require_paired


@dataclass(frozen=True, eq=False)
class Gram:
    """A centred representation seen through its linear Gram matrix.

    `matrix`: (n, n), diagonal zero; `rows`: its row sums (n,); `diagonal`: what stood on the diagonal (n,).
    """

    matrix: Tensor
    rows: Tensor
    diagonal: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.matrix.shape[0])

    @cached_property
    def total(self) -> Tensor:
        """1'K1."""
        return self.rows.sum()

    @cached_property
    def self_hsic(self) -> float:
        """HSIC_u(K, K). Raises DegenerateInputError if it is not positive: too few distinct samples."""
        value = hsic_unbiased(self, self)
        if value <= 0:
            raise DegenerateInputError(
                "the unbiased variance of the representation is not above zero: too few distinct samples"
            )
        return value

    def permuted(self, index: Tensor) -> Gram:
        """The same with its samples in another order."""
        return Gram(self.matrix[index][:, index], self.rows[index], self.diagonal[index])


def gram(x: Representation) -> Gram:
    """The Gram matrix of x (n, p), centred, in float64."""
    c = centred(as_float64(x))
    matrix = c @ c.T
    diagonal = matrix.diagonal().clone()
    matrix.fill_diagonal_(0.0)
    return Gram(matrix, matrix.sum(dim=1), diagonal)


def hsic_unbiased(x: Gram, y: Gram) -> float:
    """HSIC_u(K, L) = [tr(KL) + (1'K1)(1'L1) / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n(n-3)). Can be negative."""
    require_paired(x.n, y.n)
    n = x.n
    trace = torch.dot(x.matrix.flatten(), y.matrix.flatten())
    return float(
        (trace + x.total * y.total / ((n - 1) * (n - 2)) - 2 / (n - 2) * torch.dot(x.rows, y.rows)) / (n * (n - 3))
    )


def hsic_biased(x: Gram, y: Gram) -> float:
    """tr(K'HL'H) with full diagonals, of already centred representations: ||Yc'Xc||_F^2."""
    require_paired(x.n, y.n)
    return float(torch.dot(x.matrix.flatten(), y.matrix.flatten()) + torch.dot(x.diagonal, y.diagonal))


def leave_one_out_hsic(x: Gram, y: Gram) -> Tensor:
    """HSIC_u without sample i, for every i: (n,). O(n^2), not n times O(n^2).

    Taking sample i out subtracts its row and column: tr loses 2 r_i with r = (K*L)1, the total loses 2 (K1)_i, and
    sum_j (K1)_j (L1)_j becomes sum_{j != i} ((K1)_j - K_ij) ((L1)_j - L_ij).
    """
    require_paired(x.n, y.n)
    n = x.n - 1
    r = (x.matrix * y.matrix).sum(dim=1)
    products = x.rows * y.rows
    cross = products.sum() - products - x.matrix @ y.rows - y.matrix @ x.rows + r
    totals = (x.total - 2 * x.rows) * (y.total - 2 * y.rows)
    return (r.sum() - 2 * r + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))
