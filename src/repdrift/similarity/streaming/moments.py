"""Sums over rows, from which every streamed number follows, and how they change with the shift.

Per row, u = x - shift of the base and v = y - shift of a tuned model; a = ||u||^2, b = ||v||^2. Sums are float64.
All of them add, so that batches and processes merge exactly once they are about the same shift. With u' = u + d and
v' = v + e, for fixed d (p,) and e (p,), n rows:

    sum u'   = sum u + n d                              U'U'     = U'U + (sum u) d' + d (sum u)' + n d d'
    sum a'   = sum a + 2 d.sum u + n |d|^2              U'V'     = U'V + (sum u) e' + d (sum v)' + n d e'
    sum u'b' = sum ub + 2 U'V e + |e|^2 sum u + d sum b'
    sum a'b' = sum ab + 2 e.sum va + 2 d.sum ub + 4 d'U'V e
               + |e|^2 (sum a + 2 d.sum u) + |d|^2 (sum b + 2 e.sum v) + n |d|^2 |e|^2

These are the products multiplied out. With v = u they serve the terms of one model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from repdrift.similarity.streaming import symmetric


@dataclass(eq=False)
class SideMoments:
    """Sums of one model's rows. p features, n rows."""

    n: int
    shift: Tensor
    """(p,) the vector that was subtracted from every row."""
    total: Tensor
    """(p,) sum u."""
    squares: Tensor
    """(p,) sum u^2, by feature."""
    gram: Tensor
    """U'U, packed as in `symmetric`."""
    lengths: Tensor
    """() sum a."""
    lengths_squared: Tensor
    """() sum a^2."""
    by_length: Tensor
    """(p,) sum u a."""
    raw_squares: Tensor
    """() sum ||x||^2, without shift."""
    largest: Tensor
    """() largest |x| of any feature and row."""
    zero_rows: Tensor
    """() rows that are a vector of zeros."""


@dataclass(eq=False)
class CrossMoments:
    """Sums of base rows times tuned rows."""

    product: Tensor
    """(p, p) U'V."""
    lengths_product: Tensor
    """() sum ab."""
    base_by_length: Tensor
    """(p,) sum u b."""
    tuned_by_length: Tensor
    """(p,) sum v a."""
    change: Tensor
    """() sum ||y - x||^2, without shifts."""
    cosines: Tensor
    """() sum of the rows' cosines, without shifts; rows with a vector of zeros are left out."""


def empty_side(shift: Tensor) -> SideMoments:
    """Sums of no rows, about a float64 shift (p,)."""
    p = shift.shape[0]
    vectors = {name: torch.zeros_like(shift) for name in ("total", "squares", "by_length")}
    numbers = {
        name: shift.new_zeros(()) for name in ("lengths", "lengths_squared", "raw_squares", "largest", "zero_rows")
    }
    return SideMoments(n=0, shift=shift, gram=shift.new_zeros(symmetric.packed_size(p)), **vectors, **numbers)


def empty_cross(like: SideMoments) -> CrossMoments:
    """Sums of no rows, with the width and device of `like`."""
    p = like.shift.shape[0]
    zero = like.shift.new_zeros
    return CrossMoments(zero(p, p), zero(()), zero(p), zero(p), zero(()), zero(()))


def shifted_side(side: SideMoments, shift: Tensor) -> SideMoments:
    """Move sums to another shift (p,)."""
    n, d = side.n, side.shift - shift
    dd, du = d @ d, d @ side.total
    gram_d = symmetric.times(side.gram, d)
    gram = side.gram.clone()
    symmetric.add_outer(gram, d, side.total + (n / 2) * d)
    lengths = side.lengths + 2 * du + n * dd
    return SideMoments(
        n=n,
        shift=shift.clone(),
        total=side.total + n * d,
        squares=side.squares + 2 * d * side.total + n * d.square(),
        gram=gram,
        lengths=lengths,
        lengths_squared=side.lengths_squared
        + 4 * (d @ side.by_length)
        + 4 * (d @ gram_d)
        + 2 * dd * (side.lengths + 2 * du)
        + n * dd.square(),
        by_length=side.by_length + 2 * gram_d + dd * side.total + d * lengths,
        raw_squares=side.raw_squares,
        largest=side.largest,
        zero_rows=side.zero_rows,
    )


def shifted_cross(
    cross: CrossMoments, base: SideMoments, tuned: SideMoments, base_shift: Tensor, tuned_shift: Tensor
) -> CrossMoments:
    """Move cross sums to other shifts (p,); `base` and `tuned` are about the present ones."""
    n, d, e = base.n, base.shift - base_shift, tuned.shift - tuned_shift
    dd, ee, du, ev = d @ d, e @ e, d @ base.total, e @ tuned.total
    product_e = cross.product @ e
    product = torch.addr(cross.product, base.total, e)
    product.addr_(d, tuned.total + n * e)
    return CrossMoments(
        product=product,
        lengths_product=cross.lengths_product
        + 2 * (e @ cross.tuned_by_length)
        + 2 * (d @ cross.base_by_length)
        + 4 * (d @ product_e)
        + ee * (base.lengths + 2 * du)
        + dd * (tuned.lengths + 2 * ev)
        + n * dd * ee,
        base_by_length=cross.base_by_length
        + 2 * product_e
        + ee * base.total
        + d * (tuned.lengths + 2 * ev + n * ee),
        tuned_by_length=cross.tuned_by_length
        + 2 * (cross.product.T @ d)
        + dd * tuned.total
        + e * (base.lengths + 2 * du + n * dd),
        change=cross.change,
        cosines=cross.cosines,
    )  # fmt: skip


def added_sides(a: SideMoments, b: SideMoments) -> SideMoments:
    """Add two sums, which must be about the same shift."""
    sums = {f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(a) if f.name not in {"shift", "largest"}}
    return SideMoments(shift=a.shift.clone(), largest=torch.maximum(a.largest, b.largest), **sums)


def added_crosses(a: CrossMoments, b: CrossMoments) -> CrossMoments:
    """Add two cross sums, which must be about the same shifts."""
    return CrossMoments(**{f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(a)})
