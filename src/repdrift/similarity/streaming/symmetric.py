"""Symmetric p x p matrices in packed strips: the upper block triangle, in about 56 % of the flops and of the memory.

Strip (s, e) holds rows s to e and columns s to p of the matrix, one strip after another in one flat tensor. The square
blocks on the diagonal are held whole. With k strips the product X'X costs (k + 1) / 2k of the full one.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_STRIPS = 8
_NARROWEST = 96
"""Narrower strips lose more in the speed of each product than they save in work (measured for 384 to 2048 features)."""


def packed_size(p: int) -> int:
    """Count the numbers in the packed form of a p x p matrix."""
    return sum((stop - start) * (p - start) for start, stop in _bounds(p))


def strips(packed: Tensor, p: int) -> Iterator[tuple[int, int, Tensor]]:
    """(start, stop, view of shape (stop - start, p - start)) for every strip."""
    at = 0
    for start, stop in _bounds(p):
        size = (stop - start) * (p - start)
        yield start, stop, packed[at : at + size].view(stop - start, p - start)
        at += size


def packed_gram(rows: Tensor) -> Tensor:
    """X'X of rows (t, p), packed, in their type."""
    p = rows.shape[1]
    packed = rows.new_empty(packed_size(p))
    for start, stop, view in strips(packed, p):
        torch.mm(rows[:, start:stop].T, rows[:, start:], out=view)
    return packed


def dense(packed: Tensor, p: int) -> Tensor:
    """Unpack the whole matrix (p, p)."""
    whole = packed.new_zeros((p, p))
    add_to_dense(whole, packed)
    return whole


def add_to_dense(whole: Tensor, packed: Tensor) -> None:
    """Add a packed matrix to a dense one (p, p), in place."""
    for start, stop, view in strips(packed, whole.shape[0]):
        whole[start:stop, start:] += view
        whole[stop:, start:stop] += view[:, stop - start :].T


def add_both_ways(packed: Tensor, dense: Tensor) -> None:
    """Add M + M' to a packed matrix, in place, for a dense M (p, p)."""
    for start, stop, view in strips(packed, dense.shape[0]):
        view.add_(dense[start:stop, start:]).add_(dense[start:, start:stop].T)


def add_outer(packed: Tensor, u: Tensor, v: Tensor) -> None:
    """Add uv' + vu' to a packed matrix, in place, for vectors (p,)."""
    for start, stop, view in strips(packed, u.shape[0]):
        view.addr_(u[start:stop], v[start:]).addr_(v[start:stop], u[start:])


def times(packed: Tensor, v: Tensor) -> Tensor:
    """Multiply a packed matrix with a vector (p,)."""
    out = torch.zeros_like(v)
    for start, stop, view in strips(packed, v.shape[0]):
        out[start:stop] += view @ v[start:]
        out[stop:] += view[:, stop - start :].T @ v[start:stop]
    return out


def frobenius_squared(packed: Tensor, weights: Tensor) -> Tensor:
    """||W M W||_F^2 with W the diagonal matrix of the weights (p,)."""
    total = packed.new_zeros(())
    for start, stop, view in strips(packed, weights.shape[0]):
        squares = (view * weights[start:]).mul_(weights[start:stop, None]).square_()
        total += 2 * squares.sum() - squares[:, : stop - start].sum()
    return total


def _bounds(p: int) -> list[tuple[int, int]]:
    width = max(_NARROWEST, -(-p // _STRIPS))
    return [(start, min(start + width, p)) for start in range(0, p, width)]
