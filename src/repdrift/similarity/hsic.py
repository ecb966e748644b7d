"""HSIC of linear kernels: biased, unbiased, and unbiased with each sample left out, all in closed form.

K and L are the Gram matrices of centred representations with their diagonals set to zero. For linear kernels the
unbiased estimator does not change under centring, in exact arithmetic; centring first is what keeps it accurate.
Source: Song et al. 2012, eq. 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.inputs import require_paired

ROUNDING = 1e-12
"""An HSIC below this share of the terms that it is the difference of is rounding noise, not a number."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """K of one centred representation (n, p), held in the smaller of two forms.

    `table`: where n <= p, K itself (n, n), and `is_gram` is true; where n > p, the centred representation (n, p), and
    no n x n matrix is made. `diagonal`: the squared lengths (n,) that K leaves out. `rows`: K1 (n,).
    """

    table: Tensor
    is_gram: bool
    diagonal: Tensor
    rows: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.diagonal.shape[0])

    @cached_property
    def total(self) -> Tensor:
        """1'K1."""
        return self.rows.sum()

    @cached_property
    def in_gram_form(self) -> Kernel:
        """The same with K at hand."""
        return self if self.is_gram else _gram_form(self.table)

    @cached_property
    def rounding(self) -> float:
        """What of `self_hsic` could be rounding noise."""
        n = self.n
        terms = _trace(self, self) + self.total**2 / ((n - 1) * (n - 2)) + 2 / (n - 2) * self.rows.square().sum()
        return ROUNDING * float(terms) / (n * (n - 3))

    @cached_property
    def self_hsic(self) -> float:
        """HSIC_u(K, K). Raises DegenerateInputError if it is not above rounding: too few distinct samples."""
        value = hsic_unbiased(self, self)
        if value <= self.rounding:
            raise DegenerateInputError(
                "the unbiased variance of the representation is not above zero: too few distinct samples"
            )
        return value

    @cached_property
    def self_hsic_biased(self) -> float:
        """||Xc'Xc||_F^2."""
        return hsic_biased(self, self)

    @cached_property
    def self_hsic_without_one(self) -> Tensor:
        """HSIC_u(K, K) without sample i, for every i: (n,)."""
        return leave_one_out_hsic(self, self)

    def times(self, v: Tensor) -> Tensor:
        """Kv for v (n,)."""
        if self.is_gram:
            return self.table @ v
        return self.table @ (self.table.T @ v) - self.diagonal * v

    def permuted(self, order: Tensor) -> Kernel:
        """The same with its samples in another order."""
        table = self.table[order]
        if self.is_gram:
            table = table[:, order]
        return Kernel(table, self.is_gram, self.diagonal[order], self.rows[order])


def linear_kernel(centred: Tensor) -> Kernel:
    """The kernel of a centred float64 representation (n, p)."""
    n, p = centred.shape
    if n <= p:
        return _gram_form(centred)
    diagonal = centred.square().sum(dim=1)
    return Kernel(centred, False, diagonal, centred @ centred.sum(dim=0) - diagonal)


def alike(x: Kernel, y: Kernel) -> tuple[Kernel, Kernel]:
    """Both sides in one form: samples only if both hold samples.

    Otherwise one side has at least n features, so that n x n is no larger than what came in.
    Raises ShapeError unless both have the same number of samples.
    """
    require_paired(x.n, y.n)
    return (x, y) if x.is_gram == y.is_gram else (x.in_gram_form, y.in_gram_form)


def hsic_unbiased(x: Kernel, y: Kernel) -> float:
    """HSIC_u(K, L) = [tr(KL) + (1'K1)(1'L1) / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n(n-3)). Can be negative."""
    x, y = alike(x, y)
    return float(_unbiased(_trace(x, y), x.total * y.total, torch.dot(x.rows, y.rows), x.n))


def hsic_biased(x: Kernel, y: Kernel) -> float:
    """tr(KL) with full diagonals, of already centred representations: ||Yc'Xc||_F^2."""
    x, y = alike(x, y)
    return float(_trace(x, y) + torch.dot(x.diagonal, y.diagonal))


def leave_one_out_hsic(x: Kernel, y: Kernel) -> Tensor:
    """HSIC_u without sample i, for every i: (n,). At the cost of two or three evaluations, not of n.

    Taking sample i out subtracts its row and column: tr loses 2 r_i with r = (K*L)1, the total loses 2 (K1)_i, and
    sum_j (K1)_j (L1)_j becomes sum_{j != i} ((K1)_j - K_ij) ((L1)_j - L_ij).
    """
    x, y = alike(x, y)
    r = _trace_by_row(x, y)
    products = x.rows * y.rows
    cross = products.sum() - products - x.times(y.rows) - y.times(x.rows) + r
    totals = (x.total - 2 * x.rows) * (y.total - 2 * y.rows)
    return _unbiased(r.sum() - 2 * r, totals, cross, x.n - 1)


def _unbiased(trace: Tensor, totals: Tensor, cross: Tensor, n: int) -> Tensor:
    return (trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))


def _trace(x: Kernel, y: Kernel) -> Tensor:
    """tr(KL), of two kernels in one form."""
    if x.is_gram:
        return torch.dot(x.table.flatten(), y.table.flatten())
    return (x.table.T @ y.table).square().sum() - torch.dot(x.diagonal, y.diagonal)


def _trace_by_row(x: Kernel, y: Kernel) -> Tensor:
    """sum_j K_ij L_ij for every i: (n,), of two kernels in one form."""
    if x.is_gram:
        return (x.table * y.table).sum(dim=1)
    return ((x.table @ (x.table.T @ y.table)) * y.table).sum(dim=1) - x.diagonal * y.diagonal


def _gram_form(centred: Tensor) -> Kernel:
    gram = centred @ centred.T
    diagonal = gram.diagonal().clone()
    gram.fill_diagonal_(0.0)
    return Kernel(gram, True, diagonal, gram.sum(dim=1))
