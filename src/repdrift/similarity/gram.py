"""Gram matrices XX': one triangle is computed and mirrored, in float32 where that is good enough and pays.

Rounding K to float32 moves it by a random matrix E of about 1e-7 of its size. CKA is the cosine between U-centred
kernels, so that a drift d is moved by about 1e-7 sqrt(8 d), and by 1e-14 where nothing drifted: a drift of 1e-6 keeps three
digits. That holds as long as what all samples share was taken off first, and as long as the U-centred K is not itself small
beside the products that it was rounded in. `_is_sound` checks the latter.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from repdrift.similarity.representation import Representation

_STRIPS = 4
_NARROWEST = 64
"""More or narrower strips lose in the speed of each product what they save in work (measured for 277 to 1,500 rows)."""

_WORTH = 1 << 25
"""Multiplications below which float64 costs nothing that anyone would notice."""

_SQUARES = (1e-12, 1e24)
"""If the largest squared length of a row lies between these, float32 products neither overflow nor lose what matters."""


def gram(rows: Tensor) -> Tensor:
    """XX' of rows (n, p), in their type: (n, n), in five eighths of the work."""
    n = rows.shape[0]
    width = max(_NARROWEST, -(-n // _STRIPS))
    out = rows.new_empty((n, n))
    for start in range(0, n, width):
        stop = min(start + width, n)
        torch.mm(rows[start:stop], rows[start:].T, out=out[start:stop, start:])
        out[stop:, start:stop] = out[start:stop, stop:].T
    return out


def centred_single(representation: Representation) -> Tensor:
    """The rows (n, p) minus their column means, in float32."""
    x = representation.given
    # Each difference is rounded once; the second mean takes off what rounding left of large offsets.
    u = x.to(torch.float32) - x.mean(dim=0, dtype=torch.float32)
    return u.sub_(u.mean(dim=0))


def gram_of_single(
    representation: Representation, rows: Callable[[Representation], Tensor | None] = centred_single
) -> Tensor | None:
    """UU' of centred `rows` (n, p) in float32, diagonal included; None if float64 must be used instead.

    Float64 must be used for float64 input, n > p, small products, matrix products set to less than float32's precision,
    rows that float32 cannot hold (`rows` gives None), magnitudes that it cannot square, and kernels that nearly vanish when
    U-centred.
    """
    x = representation.given
    n, p = x.shape
    if x.element_size() > 4 or n > p or n * n * p < _WORTH or torch.get_float32_matmul_precision() != "highest":
        return None
    u = rows(representation)
    if u is None:
        return None
    found = gram(u)
    return found if _is_sound(found, p) else None


def _is_sound(gram: Tensor, p: int) -> bool:
    """True if the U-centred ||K||^2 is at least a quarter of what p independent features of equal variance give.

    Real representations lie far above. Almost equidistant points lie below, and so do samples of which one is a thousand
    times as long as the rest: their U-centred kernel is nearly 0.
    """
    lengths = gram.diagonal().to(torch.float64)
    largest = float(lengths.max())
    if not _SQUARES[0] <= largest <= _SQUARES[1]:
        return False
    n = gram.shape[0]
    rows = gram.sum(dim=1, dtype=torch.float64) - lengths
    squares = float(torch.linalg.vector_norm(gram, dtype=torch.float64)) ** 2 - float(lengths @ lengths)
    # Everything that U-centring takes off: one massive sample has a large row, of which nothing of its size is left.
    centred = squares - 2 / (n - 2) * float(rows @ rows) + float(rows.sum()) ** 2 / ((n - 1) * (n - 2))
    pairs = float(lengths.sum()) ** 2 - float(lengths @ lengths)
    return centred >= pairs / (4 * p)
