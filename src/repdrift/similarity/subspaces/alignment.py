"""Shapes: representations up to position, size and rotation; how far apart two are once turned onto each other.

With rows F and G of Frobenius norm 1 the best rotation Q leaves ||FQ - G||_F^2 = 2 - 2 ||F'G||_*, the sum of singular
values. Where little has moved, this is a difference of nearly equal numbers and has no digits. Close shapes are therefore
turned onto each other, and the rest is measured.
Source: Schönemann 1966; Williams et al. 2021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import Scatter
from repdrift.similarity.subspaces.principal import Principal

_CLOSE = 1e-4
"""If a sum of singular values is nearer to 1 than this (a distance below 0.014), the difference has too few digits."""

_UNRESOLVED = 4.0
"""Eigenvalues up to this many times (rounding of the sums) x (largest eigenvalue) x (root of p) can be rounding."""

_EPSILON = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Shape:
    """A representation up to rotation: rows (n, k), centred, of Frobenius norm 1, in coordinates without meaning.

    Distances to other shapes are kept for as long as both shapes live, so that measures that share shapes share them too.
    """

    rows: Tensor
    _known: WeakKeyDictionary[Shape, float] = field(default_factory=WeakKeyDictionary, init=False, repr=False)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.rows.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that it lies on."""
        return self.rows.device

    def permuted(self, order: Tensor) -> Shape:
        """Put the samples in another order."""
        return Shape(self.rows[order])

    def distance(self, other: Shape) -> float:
        """min over rotations Q of ||FQ - G||_F, the narrower padded with zeros: 0 to sqrt(2).

        Raises ShapeError unless both have the same number of samples.
        """
        require_paired(self.n, other.n)
        known = self._known.get(other)
        if known is None:
            known = self._known[other] = other._known[self] = _distance(self.rows, other.rows)
        return known


def angle(distance: float) -> float:
    """The angle between two shapes at that distance, in radians: 0 to pi/2. Its cosine is ||F'G||_*."""
    return 2 * math.asin(distance / 2)


def unit(rows: Tensor) -> Tensor:
    """Rows (n, p), not all zero, scaled to Frobenius norm 1."""
    return rows / torch.linalg.vector_norm(rows)


def compact(representation: Representation) -> Tensor:
    """Centred rows in the coordinates that make them lower triangular: C (n, min(n, p)) with CC' = XX'. Shared.

    C is as exact as X; a root of the Gram matrix would keep half the digits of what varies little. Representations that
    differ by a rotation have the same coordinates, and nearly equal ones nearly the same.
    """
    lower = torch.linalg.qr(representation.centred.T, mode="r").R.T
    return torch.where(lower.diagonal() < 0, -lower, lower)  # these signs are free: without them it is unique


def unit_shape(representation: Representation) -> Shape:
    """Shape of a representation. Shared."""
    return Shape(unit(representation.shared(compact)))


def whitened_shape(components: Principal, alpha: float) -> Shape:
    """Shape after partial whitening: the length s of every axis becomes alpha s / rms(s) + 1 - alpha."""
    return Shape(unit(components.u * _partly_whitened(components.s, alpha)))


def scatter_distance(scatter: Scatter) -> float:
    """Distance between the shapes of the two sides of a scatter (`Shape.distance`).

    Sums do not tell distances below about 1e-7 from rounding (3e-4 if streamed with float32 products).
    """
    sizes = math.sqrt(float(scatter.xx.trace())) * math.sqrt(float(scatter.yy.trace()))
    return _apart(scatter.xy / sizes)


def whitened_scatter_distance(scatter: Scatter, alpha: float) -> float:
    """Distance between the shapes of the two sides of a scatter, after partial whitening.

    The sums should be of float64 products. Raises DegenerateInputError if the shortest axes cannot be told from the rounding
    of the sums, as in sums with float32 products of no more rows than features.
    """
    x, y = (_whitening(square, scatter, alpha) for square in (scatter.xx, scatter.yy))
    return _apart(x @ scatter.xy @ y)


def _partly_whitened(lengths: Tensor, alpha: float) -> Tensor:
    return alpha * lengths / lengths.square().mean().sqrt() + (1 - alpha)


def _whitening(square: Tensor, scatter: Scatter, alpha: float) -> Tensor:
    """The map Z (p, p) that makes XZ partly whitened and of Frobenius norm 1, from X'X (p, p)."""
    variances, axes = torch.linalg.eigh(square)
    kept = variances > _UNRESOLVED * scatter.rounding * math.sqrt(square.shape[0]) * variances[-1]
    rank, expected = int(kept.sum()), min(scatter.n - 1, int((square.diagonal() > 0).sum()))
    if rank != expected:
        raise DegenerateInputError(
            f"of {expected} axes {rank} stand clear of the rounding of the sums, which whitening would blow up: "
            "stream with float64 products, or compute it from the rows"
        )
    lengths = variances[kept].sqrt()
    wanted = _partly_whitened(lengths, alpha)
    return (axes[:, kept] * (wanted / torch.linalg.vector_norm(wanted) / lengths)) @ axes[:, kept].T


def _apart(product: Tensor) -> float:
    """Distance from F'G alone; 0 where rounding takes the sum of singular values above 1."""
    return math.sqrt(max(0.0, 2 - 2 * float(torch.linalg.svdvals(product).sum())))


def _distance(f: Tensor, g: Tensor) -> float:
    product = f.T @ g
    gap = 1 - float(torch.linalg.svdvals(product).sum())  # a third of the cost of the vectors, and mostly enough
    return math.sqrt(2 * gap) if gap > _CLOSE else _residual(f, g)


def _residual(f: Tensor, g: Tensor) -> float:
    """min ||FQ - G||_F of close shapes: the smaller of two norms. No rotation gives a norm that is too small.

    The singular vectors of F'G are wrong by epsilon divided by singular values. The correction exp(W), W' = -W, that
    takes D = B - A off to first order solves SW + WS = A'D - D'A, where A'A is about S = diag(s). D is small, and so is
    its rounding. One correction is enough (measured) where axes are between 1 and 1e-7 long; where there are shorter ones,
    a drift is known to about 1e-9.
    """
    k = max(f.shape[1], g.shape[1])
    f, g = (torch.nn.functional.pad(side, (0, k - side.shape[1])) for side in (f, g))
    u, s, vh = torch.linalg.svd(f.T @ g)
    a, b = f @ u, g @ vh.T
    product = a.T @ (b - a)
    sums = s[:, None] + s
    moved = sums > _EPSILON * s[0]  # false for two axes without length: turning them changes nothing
    half = torch.where(moved, (product - product.T) / sums / 2, 0.0)
    identity = torch.eye(k, dtype=f.dtype, device=f.device)
    a = torch.linalg.solve(identity - half, a @ (identity + half), left=False)  # Cayley: exp(W) but for W^3
    return min(_norm(b - a), _norm(f - g))  # where nothing is turned, no rotation that is found is as exact as none


def _norm(difference: Tensor) -> float:
    return float(torch.linalg.vector_norm(difference))
