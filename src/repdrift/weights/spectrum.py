"""Norms and ranks of weight changes: dense matrices without a full decomposition, B A without forming the product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from repdrift.core.errors import NonFiniteError, ShapeError

CARRIED_SHARE = 0.99
"""Share of ||BA||_F^2 that the counted singular values carry, in `rank_utilisation`."""
_CHUNK = 1 << 20
_EXACT_UP_TO = 64
_SQUARE_TOLERANCE = 2e-4  # relative, of the square: half of it is left of the value itself
_MOST_RESTARTS = 100


def frobenius_norm(x: Tensor) -> float:
    """Frobenius norm ||x||_F of a real floating tensor of any shape, summed in float64 a chunk at a time.

    Raises NonFiniteError if `x` holds NaN or Inf.
    """
    total = 0.0
    for chunk in x.detach().reshape(-1).split(_CHUNK):
        wide = chunk.to(device="cpu", dtype=torch.float64)
        total += float(torch.dot(wide, wide))
    if not math.isfinite(total):
        raise NonFiniteError("NaN or Inf in the weights")
    return math.sqrt(total)


def spectral_norm(matrix: Tensor) -> float:
    """Spectral norm ||matrix||_2, the largest singular value, of a real (m, n) matrix, to a relative error of 1e-4.

    Computed by ARPACK's Lanczos iteration on M M' (of the smaller side) from a fixed start, with products in float32, or
    float64 for a float64 matrix. Small matrices, and those where the iteration does not converge, are decomposed in full.
    Raises ShapeError if `matrix` is not two-dimensional, NonFiniteError if it holds NaN or Inf.
    Source: Lehoucq, Sorensen and Yang 1998, ARPACK Users' Guide.
    """
    if matrix.dim() != 2:
        raise ShapeError(f"a spectral norm needs a matrix, got shape {tuple(matrix.shape)}")
    size = frobenius_norm(matrix)
    if size == 0.0:
        return 0.0
    m = matrix.detach()
    if min(m.shape) <= _EXACT_UP_TO:
        return size * float(torch.linalg.svdvals(m.double() / size)[0])
    if m.dtype != torch.float64:
        m = m.float()
    try:
        return size * math.sqrt(_largest_eigenvalue(m.T if m.shape[0] > m.shape[1] else m, size))
    except ArpackNoConvergence:
        return float(torch.linalg.matrix_norm(m, ord=2))


def stable_rank(norm: float, largest: float) -> float:
    """Stable rank ||M||_F^2 / ||M||_2^2 from the two norms, in [1, rank of M]; 0 for the zero matrix.

    Source: Rudelson and Vershynin 2007 (numerical rank).
    """
    return (norm / largest) ** 2 if largest > 0.0 else 0.0


def low_rank_singular_values(a: Tensor, b: Tensor) -> Tensor:
    """Singular values of b @ a, descending, in float64 on the CPU, without forming the product.

    a: (r, n), b: (m, r). Returns (r,); the values beyond min(m, n, r) are zero. With b = Q S and a' = P T (QR),
    b a = Q (S T') P' has the singular values of S T', which is at most r x r.
    Raises ShapeError if the shapes do not fit, NonFiniteError if a matrix holds NaN or Inf.
    """
    if a.dim() != 2 or b.dim() != 2 or a.shape[0] != b.shape[1]:
        raise ShapeError(f"LoRA's matrices should be A (r, n) and B (m, r), got {tuple(a.shape)} and {tuple(b.shape)}")
    sizes = [frobenius_norm(a), frobenius_norm(b)]
    values = torch.zeros(a.shape[0], dtype=torch.float64)
    if 0.0 in sizes:  # a fresh adapter: B is zero
        return values
    wide_a, wide_b = (x.detach().to(device="cpu", dtype=torch.float64) for x in (a, b))
    core = torch.linalg.qr(wide_b, mode="r").R @ torch.linalg.qr(wide_a.T, mode="r").R.T
    found = torch.linalg.svdvals(core)
    values[: found.numel()] = found
    return values


def effective_rank(values: Tensor) -> float:
    """Effective rank exp(H(p)) with p = values / sum(values), in [1, k]; 0 if all values are zero.

    values: (k,) singular values, not their squares.
    Source: Roy and Vetterli 2007, eq. 3 and 4.
    """
    total = float(values.sum())
    if total == 0.0:
        return 0.0
    shares = values.double() / total
    return math.exp(float(torch.special.entr(shares).sum()))


def rank_utilisation(values: Tensor) -> float:
    """Share k / r of the singular values that carry 99 % of ||BA||_F^2, the sum of their squares; in [1/r, 1].

    values: (r,) singular values of B A, descending. k is the smallest number of them that reaches the share. 0 if all
    values are zero. Equal values give ceil(0.99 r) / r. By Eckart and Young, k is the rank of the best approximation
    that loses at most 1 % of ||BA||_F^2, which is an error of at most 10 % in the norm.
    """
    return carrying(values, CARRIED_SHARE) / values.numel()


def carrying(values: Tensor, share: float) -> int:
    """The smallest number of singular values whose squares make up `share` of the sum of all; 0 if all values are zero.

    values: (k,) singular values, descending.
    """
    squares = values.double().square()
    total = float(squares.sum())
    if total == 0.0:
        return 0
    # Slightly below the share: equal values must not need one more because of rounding.
    reached = squares.cumsum(0) >= share * total * (1 - 1e-12)
    return int(reached.to(torch.uint8).argmax()) + 1


def _largest_eigenvalue(m: Tensor, size: float) -> float:
    """The largest eigenvalue of M M' / size^2. m: (k, n), k <= n. Raises ArpackNoConvergence."""

    def product(vector: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(vector.reshape(-1)).to(m)
        # Divided in between: squares of a fine-tune's changes would underflow in float32.
        return (torch.mv(m, torch.mv(m.T, x) / size) / size).cpu().numpy()

    kind = np.float64 if m.dtype == torch.float64 else np.float32
    k = m.shape[0]
    squares: Any = LinearOperator((k, k), matvec=product, dtype=kind)  # pyright: ignore[reportCallIssue]
    options: dict[str, Any] = {"tol": _SQUARE_TOLERANCE, "maxiter": _MOST_RESTARTS, "return_eigenvectors": False}
    start = np.random.default_rng(0).normal(size=k).astype(kind)
    return float(eigsh(squares, k=1, which="LA", v0=start, **options)[0])
