"""Canonical correlations, from rows and from scatter matrices, and the cases in which they say nothing.

n centred samples span n - 1 dimensions. Two subspaces of r and q dimensions among them share at least r + q - (n - 1): as
many canonical correlations are 1 whatever the data, and from r + q = n - 1 on the largest are pushed there. Source of the
warning: Kornblith et al. 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.streaming.result import PairedResult, Scatter
from repdrift.similarity.subspaces.principal import Principal, leading_count

_CONSTANT = 1e-13
"""A standard deviation below this share of the mean is what rounding leaves of equal values."""

_UNRESOLVED = 4.0
"""Eigenvalues up to this many times (rounding of the sums) x (largest eigenvalue) x (root of p) can be rounding."""


def require_free_dimensions(rank_x: int, rank_y: int, n: int) -> None:
    """Raise DegenerateInputError unless both ranks together are below the n - 1 dimensions of centred samples."""
    if rank_x + rank_y >= n - 1:
        raise DegenerateInputError(
            f"canonical correlations need more samples than features: {n} centred samples span {n - 1} dimensions, and "
            f"ranks {rank_x} and {rank_y} leave none of them free, which pushes correlations to 1 whatever the data; "
            "compare fewer components (svcca, of a smaller share of the variance) or take debiased CKA (cka)"
        )


def require_predictors_to_spare(rank: int, n: int) -> None:
    """Raise DegenerateInputError unless predictors of this rank leave something of n centred samples unexplained."""
    if rank >= n - 1:
        raise DegenerateInputError(
            f"R^2 within the sample needs more samples than features: predictors of rank {rank} explain everything of "
            f"{n} samples whatever the data; predict samples that are left out (linear_regression_cv) "
            "or take debiased CKA (cka)"
        )


def cross(x: Principal, y: Principal) -> Tensor:
    """Ux'Uy (r, q): its singular values are the canonical correlations, to within 1e-15; not clipped.

    Raises ShapeError unless both sides have the same samples; DegenerateInputError if their ranks leave no dimension free.
    """
    require_paired(x.n, y.n)
    require_free_dimensions(x.rank, y.rank, x.n)
    return x.u.T @ y.u


def mean_correlation(cross: Tensor) -> float:
    """Mean of the canonical correlations, over the smaller rank."""
    return float(torch.linalg.svdvals(cross).mean())


@dataclass(frozen=True, eq=False)
class Whitened:
    """Scatter matrix S of one side, with the map W (p, r) for which W'SW = 1: XW stands for the side's U.

    unresolved: how many directions of S are too weak to be told from rounding of the sums.
    """

    scatter: Tensor
    map: Tensor
    unresolved: int

    @property
    def rank(self) -> int:
        """Number of directions that stand out of rounding."""
        return int(self.map.shape[1])

    @cached_property
    def variance(self) -> Tensor:
        """tr S: (), the sum of squares of all features."""
        return self.scatter.trace()

    @property
    def loadings(self) -> Tensor:
        """Products (r, p) of whitened directions with the features."""
        return self.map.T @ self.scatter


@dataclass(frozen=True, eq=False)
class WhitenedPair:
    """Both sides of streamed sums, and Sxy between them."""

    n: int
    x: Whitened
    y: Whitened
    xy: Tensor

    @property
    def swapped(self) -> WhitenedPair:
        """Exchange the sides."""
        return WhitenedPair(self.n, self.y, self.x, self.xy.T)

    @property
    def cross(self) -> Tensor:
        """Ux'Uy (r, q), as `cross` computes it from rows.

        Raises DegenerateInputError if ranks leave no dimension free, or if a direction cannot be told from rounding.
        """
        require_free_dimensions(self.x.rank, self.y.rank, self.n)
        require_resolved(self.x, self.y)
        return self.x.map.T @ self.xy @ self.y.map


def require_resolved(*sides: Whitened) -> None:
    """Raise DegenerateInputError if a side has directions that sums do not tell from rounding: they would decide."""
    lost = sum(side.unresolved for side in sides)
    if lost:
        raise DegenerateInputError(
            f"{lost} directions of the features vary too little to be told from rounding in streamed sums, and count "
            "as much as any other; compute it from the rows"
        )


def whitened(result: PairedResult) -> WhitenedPair:
    """Both sides with all their directions. Raises DegenerateInputError if the rows of a side are equal."""
    sums = result.scatter
    mean_x, mean_y = result.means
    x, y = _whitened(sums.xx, mean_x, sums), _whitened(sums.yy, mean_y, sums)
    return WhitenedPair(sums.n, x, y, sums.xy)


def whitened_leading(result: PairedResult, share: float) -> WhitenedPair:
    """Both sides with the fewest directions that hold this share of the variance.

    Raises DegenerateInputError if the rows of a side are equal.
    """
    sums = result.scatter
    return WhitenedPair(
        sums.n, _leading(sums.xx, share, sums.rounding), _leading(sums.yy, share, sums.rounding), sums.xy
    )


def _whitened(scatter: Tensor, mean: Tensor, sums: Scatter) -> Whitened:
    """Whiten by the eigenvectors of the correlation matrix: a massive feature then costs the others no digits."""
    squares = scatter.diagonal()
    varies = (squares > sums.n * (_CONSTANT * mean).square()).nonzero().squeeze(1)
    inverse = squares[varies].rsqrt()
    eigenvalues, vectors = torch.linalg.eigh(scatter[varies][:, varies] * inverse[:, None] * inverse)
    found = eigenvalues > _noise(eigenvalues, sums.rounding)
    map_ = scatter.new_zeros((scatter.shape[0], int(found.sum())))
    map_[varies] = inverse[:, None] * vectors[:, found] * eigenvalues[found].rsqrt()
    return Whitened(scatter, map_, int((~found).sum()))


def _leading(scatter: Tensor, share: float, rounding: float) -> Whitened:
    eigenvalues, vectors = torch.linalg.eigh(scatter)
    eigenvalues, vectors = eigenvalues.flip(0), vectors.flip(1)
    # Below 0 there is only rounding.
    kept = leading_count(eigenvalues.clamp(min=0), share)
    unresolved = int((eigenvalues[:kept] <= _noise(eigenvalues, rounding)).sum())
    return Whitened(scatter, vectors[:, :kept] * eigenvalues[:kept].rsqrt(), unresolved)


def _noise(eigenvalues: Tensor, rounding: float) -> Tensor:
    return _UNRESOLVED * rounding * math.sqrt(eigenvalues.shape[0]) * eigenvalues.max()
