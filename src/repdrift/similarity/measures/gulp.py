"""GULP: how far ridge regressions on the two representations differ in what they predict."""

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
from repdrift.similarity.subspaces.principal import principal

PENALTY = 0.01
"""lambda, for representations of total variance 1; as in the paper's first figure."""


@dataclass(frozen=True, eq=False)
class Smoother:
    """H (n, n), which takes targets to the fit of ridge regression on centred features.

    It is held in the smaller of two forms. Where n <= p, `table` is H itself and `kept` is None. Where n > p, `table` is
    U (n, r) with orthonormal columns, and `kept` (r,) is the part of each that is kept: H = U diag(kept) U'.
    """

    table: Tensor
    kept: Tensor | None

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.table.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that it lies on."""
        return self.table.device

    @cached_property
    def matrix(self) -> Tensor:
        """H (n, n)."""
        return self.table if self.kept is None else (self.table * self.kept) @ self.table.T

    def permuted(self, order: Tensor) -> Smoother:
        """Put the samples in another order."""
        table = self.table[order]
        return Smoother(table[:, order] if self.kept is None else table, self.kept)


@register
class Gulp(Measure):
    """||Hx - Hy||_F with Hx = X (X'X + lambda n)^-1 X', of centred X with ||X||_F^2 = n.

    This is the root of the mean squared length of Hx t - Hy t, over targets t of independent standard normal numbers. It is
    the square root of the paper's formula, so that the triangle inequality holds. The norm of the difference is taken: a
    difference of traces would lose half its digits near 0. Directions that hold much less than
    lambda of the variance count little. ||H||_F^2 is at most 1 / (4 lambda), whence the bound 1 / sqrt(2 lambda).
    """

    name = "gulp"
    title = "GULP distance"
    description = "How far ridge regressions on either side differ in what they predict of random targets; lambda 0.01."
    higher_is_similar = False
    self_value = 0.0
    streaming = EXACT
    bounds = (0.0, 1 / math.sqrt(2 * PENALTY))
    reference = "Boix-Adsera et al. 2022"
    invariances = OF_SHAPE
    cost = "n p min(n, p) + n^3 to prepare; n^2 to compare where n <= p, else n p q"

    def derive(self, representation: Representation) -> Smoother:
        """Compute its smoother."""
        return representation.shared(smoother)

    def compare(self, x: Smoother, y: Smoother) -> float:
        """Distance of two smoothers."""
        require_paired(x.n, y.n)
        if x.kept is None or y.kept is None:  # one side has at least n features: n x n is no larger than what came in
            return float(torch.linalg.vector_norm(x.matrix - y.matrix))
        return _distance(x.table, x.kept, y.table, y.kept)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices, as a difference of traces.

        That resolves distances above about 1e-7, or 1e-3 where products were float32. A squared distance that rounding
        brings below 0 is 0.
        """
        sums = result.scatter
        root_x, root_y = sums.xx.trace().sqrt(), sums.yy.trace().sqrt()
        xx, xy, yy = sums.xx / root_x / root_x, sums.xy / root_x / root_y, sums.yy / root_y / root_y
        factor_x, factor_y = _factor(xx), _factor(yy)
        own = _solved(factor_x, xx, factor_x) + _solved(factor_y, yy, factor_y)
        return math.sqrt(max(own - 2 * _solved(factor_x, xy, factor_y), 0.0))


def smoother(representation: Representation) -> Smoother:
    """The smoother of a representation. Shared."""
    x = representation.centred
    n, p = x.shape
    if n > p:
        components = representation.shared(principal)
        squares = components.s.square()
        return Smoother(components.u, squares / (squares + PENALTY * squares.sum()))
    kernel = gram(x)
    penalty = PENALTY * kernel.trace()
    kernel.diagonal().add_(penalty)
    # H = 1 - penalty (K + penalty)^-1; the penalty being a share of the trace, this is well conditioned.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel))
    return Smoother(_identity(kernel) - penalty * inverse, None)


def _distance(u: Tensor, kept_u: Tensor, v: Tensor, kept_v: Tensor) -> float:
    """||U D U' - V E V'||_F without n x n matrices, with V = UM + R where R is orthogonal to U.

    The parts within U, between U and its complement, and beyond U are orthogonal: their squares add.
    """
    shared = u.T @ v
    rest = v - u @ shared
    left = rest.T @ rest  # R'R, of products of what is small: 1 - M'M would keep half the digits
    mapped = shared * kept_v
    within = torch.diag(kept_u) - mapped @ shared.T
    between = ((mapped @ left) * mapped).sum()
    beyond = ((left * kept_v) * (left * kept_v).T).sum()
    return math.sqrt(float(within.square().sum() + 2 * between + beyond))


def _factor(covariance: Tensor) -> Tensor:
    """Cholesky factor of S + lambda."""
    return torch.linalg.cholesky(covariance + PENALTY * _identity(covariance))


def _identity(like: Tensor) -> Tensor:
    return torch.eye(len(like), dtype=like.dtype, device=like.device)


def _solved(left: Tensor, covariance: Tensor, right: Tensor) -> float:
    """||L^-1 S R^-T||_F^2 = tr((LL')^-1 S (RR')^-1 S')."""
    half = torch.linalg.solve_triangular(left, covariance, upper=False)
    return float(torch.linalg.solve_triangular(right, half.T, upper=False).square().sum())
