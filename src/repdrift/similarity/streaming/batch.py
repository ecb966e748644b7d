"""One batch of paired rows: the checks before any of it is added, and its way into the sums."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from repdrift.core.errors import ConfigError, DataError, NonFiniteError, ShapeError
from repdrift.similarity.streaming import symmetric
from repdrift.similarity.streaming.moments import CrossMoments, SideMoments

PRODUCT_DTYPES = (torch.float32, torch.float64)

# Between these the squares of differences of two values, summed over a piece of rows (float32), and their fourth powers,
# summed over any number of rows (float64), neither overflow nor vanish.
_RANGE = {torch.float32: (1e-14, 1e16), torch.float64: (1e-70, 1e70)}

_CACHED = 1 << 18
"""Numbers per pass over rows on a CPU, so that the passes read the cache and not the memory."""

_LONG = 16
"""Rows of more than this many times the mean squared length are multiplied in float64: at most a sixteenth of a batch."""

_FEW = 64
"""Fewer rows do not show which ones are long; their products cost less than the sums that they are added to."""


def require_product_dtype(product_dtype: torch.dtype) -> None:
    """Raise ConfigError unless products can be taken in that type."""
    if product_dtype not in PRODUCT_DTYPES:
        raise ConfigError(f"product_dtype should be torch.float32 or torch.float64, got {product_dtype}")


def require_batch(
    x: Tensor, ys: Sequence[Tensor], *, n_tuned: int, features: int | None, product_dtype: torch.dtype
) -> None:
    """Check base rows x (t, p) and the rows of each tuned model, ys[k] (t, p). All faults are found before anything is added.

    Raises ShapeError if shapes differ, from each other or from earlier batches; DataError if numbers are not floats of 16
    to 64 bits, if devices differ, or if products cannot take the magnitudes; NonFiniteError if a number is NaN or Inf,
    naming model, row and feature.
    """
    if len(ys) != n_tuned:
        raise ShapeError(f"the accumulator was made for {n_tuned} tuned models, got rows of {len(ys)}")
    if x.dim() != 2 or x.shape[1] == 0:
        raise ShapeError(f"a batch should be (rows, features), got shape {tuple(x.shape)}")
    if features is not None and x.shape[1] != features:
        raise ShapeError(f"earlier batches had {features} features, this one has {x.shape[1]}")
    for name, rows in zip(["base", *(f"tuned model {k}" for k in range(n_tuned))], [x, *ys], strict=True):
        if rows.shape != x.shape:
            expected, got = tuple(x.shape), tuple(rows.shape)
            raise ShapeError(f"{name}: rows must be the same samples and features as the base's {expected}, got {got}")
        if rows.device != x.device:
            raise DataError(f"{name}: rows are on {rows.device}, the base's on {x.device}")
        if not rows.is_floating_point() or rows.element_size() < 2:
            raise DataError(f"{name}: rows should be floats of 16 to 64 bits, got {rows.dtype}")
        if rows.shape[0]:
            _require_numbers(name, rows, product_dtype)


def add_rows(
    base: SideMoments,
    tuned: Sequence[SideMoments],
    cross: Sequence[CrossMoments],
    x: Tensor,
    ys: Sequence[Tensor],
    product_dtype: torch.dtype,
) -> None:
    """Add checked rows x (t, p) and ys, each (t, p), to the sums, in place.

    U'U, U'V and V'V are products in `product_dtype`, added to float64 sums. Sums that take only t p additions are taken in
    float64, over rows of that type. For float32 products of rows of at most 32 bits nothing is lost by that: the shift is a
    float32 number, so that U is what float64 would round to, and sums and products are of the very same rows. Rows far longer
    than the rest of their batch (massive activations), and batches of few rows, are multiplied in float64: the unbiased HSIC
    takes each row's product with itself off again, and the rounding of the longest row would stay.
    """
    u = torch.empty(x.shape, dtype=product_dtype, device=x.device)
    changes = [torch.empty_like(u) for _ in ys]
    before = [side.squares.clone() for side in (base, *tuned)]
    piece = max(1, _CACHED // x.shape[1]) if x.device.type == "cpu" else x.shape[0]
    long = []
    narrow = product_dtype == torch.float32 and all(rows.element_size() <= 4 for rows in (x, *ys))
    add_linear = _add_linear_single if narrow else _add_linear
    for start in range(0, x.shape[0], piece):
        part = slice(start, start + piece)
        long.append(add_linear(base, tuned, cross, x[part], [y[part] for y in ys], u[part], [d[part] for d in changes]))
    # If no feature of V is less than half as large as that of U, V can be had from U and V - U: see `_add_products`.
    x_squares = base.squares - before[0]
    by_change = [
        bool((x_squares <= 4 * (side.squares - squares)).all())
        for side, squares in zip(tuned, before[1:], strict=True)
    ]  # fmt: skip

    lengths = torch.cat(long)
    if product_dtype == torch.float64:
        heavy = torch.zeros_like(lengths[:, 0], dtype=torch.bool)
    elif x.shape[0] < _FEW:
        heavy = torch.ones_like(lengths[:, 0], dtype=torch.bool)
    else:
        heavy = (lengths > _LONG * lengths.mean(dim=0)).any(dim=1)
    if bool(heavy.any()):
        exact_x = x[heavy].to(torch.float64)
        exact = []
        for y, side, by in zip(ys, tuned, by_change, strict=True):
            exact_y = y[heavy].to(torch.float64)
            exact.append(exact_y - exact_x - (side.shift - base.shift) if by else exact_y - side.shift)
        _add_products(base, tuned, cross, exact_x - base.shift, exact, by_change)
    if not bool(heavy.all()):
        others = [
            d if by else (y.to(torch.float64) - side.shift).to(product_dtype)
            for y, d, side, by in zip(ys, changes, tuned, by_change, strict=True)
        ]
        if bool(heavy.any()):
            for rows in (u, *others):
                rows[heavy] = 0
        _add_products(base, tuned, cross, u, others, by_change)
    for side in (base, *tuned):
        side.n += x.shape[0]


def _add_products(
    base: SideMoments,
    tuned: Sequence[SideMoments],
    cross: Sequence[CrossMoments],
    u: Tensor,
    others: Sequence[Tensor],
    by_change: Sequence[bool],
) -> None:
    """Add U'U, U'V and V'V, in the type of the rows. others: for every tuned model D = V - U (t, p) if by change, else V.

    By change: U'V = U'U + U'D and V'V = U'U + U'D + D'U + D'D, with one and the same U'U. Its rounding is then alike in
    all three and cancels in the drift: float32 products of rows that did not change show no error as drift. Where a
    feature shrank, these sums would cancel instead, and V enters the products itself.
    """
    uu = symmetric.packed_gram(u)
    base.gram += uu
    for other, side, both, by in zip(others, tuned, cross, by_change, strict=True):
        if by:
            ud = u.T @ other
            symmetric.add_to_dense(both.product, uu)
            both.product += ud
            side.gram += uu
            symmetric.add_both_ways(side.gram, ud)
        else:
            both.product += u.T @ other
        side.gram += symmetric.packed_gram(other)


def _add_linear(
    base: SideMoments,
    tuned: Sequence[SideMoments],
    cross: Sequence[CrossMoments],
    x: Tensor,
    ys: Sequence[Tensor],
    u_out: Tensor,
    changes_out: Sequence[Tensor],
) -> Tensor:
    """Add to all sums but the products. Write u and v - u, in the type of the products, to the last two arguments.

    Returns the squared lengths of u and of each v: (t, 1 + K).
    """
    raw_x = x.to(torch.float64)
    x_squared = _row_dot(raw_x, raw_x)
    u = raw_x - base.shift
    u_out.copy_(u)
    a = _row_dot(u, u)
    weights = [torch.ones_like(a), a]
    for y, side, both, change_out in zip(ys, tuned, cross, changes_out, strict=True):
        v = y.to(torch.float64)
        y_squared = _row_dot(v, v)
        d = v - raw_x
        d_squared = _row_dot(d, d)
        v = v - side.shift
        change_out.copy_(d.sub_(side.shift - base.shift))
        b = _row_dot(v, v)
        weights.append(b)
        of_v = v.T @ torch.stack([weights[0], a, b], dim=1)
        _add_side(side, v, b, y, y_squared, of_v[:, 0], of_v[:, 2])
        both.tuned_by_length += of_v[:, 1]
        both.lengths_product += a @ b
        both.change += d_squared.sum()
        both.cosines += _cosines(x_squared, y_squared, d_squared).sum()
    of_u = u.T @ torch.stack(weights, dim=1)
    _add_side(base, u, a, x, x_squared, of_u[:, 0], of_u[:, 1])
    for k, both in enumerate(cross):
        both.base_by_length += of_u[:, 2 + k]
    return torch.stack(weights[1:], dim=1)


def _add_linear_single(
    base: SideMoments,
    tuned: Sequence[SideMoments],
    cross: Sequence[CrossMoments],
    x: Tensor,
    ys: Sequence[Tensor],
    u_out: Tensor,
    changes_out: Sequence[Tensor],
) -> Tensor:
    """Do what `_add_linear` does, over rows in float32: half the memory traffic, and each sum is one pass.

    U = x - shift is rounded once, as a float64 difference would be on its way into the product. V is U + D, as in the
    products by change.
    """
    raw_x = x.to(torch.float32)
    x_squared = _row_squares(raw_x)
    u = torch.sub(raw_x, base.shift.to(torch.float32), out=u_out)
    exact_u = u.to(torch.float64)
    a = _row_squares(exact_u)
    lengths = [a]
    for y, side, both, d in zip(ys, tuned, cross, changes_out, strict=True):
        raw_y = y.to(torch.float32)
        y_squared = _row_squares(raw_y)
        torch.sub(raw_y, raw_x, out=d)
        d_squared = _row_squares(d)
        d.sub_((side.shift - base.shift).to(torch.float32))
        exact_d = d.to(torch.float64)
        # The length of U + D without rounding it: the products by change are of U + D, and b takes each row's own product off.
        b = a + 2 * _row_dot(exact_u, exact_d) + _row_squares(exact_d)
        lengths.append(b)
        of_v = _weighted_sums(u, [a, b]) + _weighted_sums(d, [a, b])
        _add_side(side, u + d, b, y, y_squared, of_v[:, 0], of_v[:, 2])
        both.tuned_by_length += of_v[:, 1]
        both.lengths_product += a @ b
        both.change += d_squared.sum()
        both.cosines += _cosines(x_squared, y_squared, d_squared).sum()
    of_u = _weighted_sums(u, lengths)
    _add_side(base, u, a, x, x_squared, of_u[:, 0], of_u[:, 1])
    for k, both in enumerate(cross):
        both.base_by_length += of_u[:, 2 + k]
    return torch.stack(lengths, dim=1)


def _row_squares(rows: Tensor) -> Tensor:
    """Squared lengths (t,) of rows, in float64."""
    return torch.linalg.vector_norm(rows.to(torch.float64), dim=1).square_()


def _column_squares(rows: Tensor) -> Tensor:
    """Sums of squares (p,) in float64, as a product, which reads the rows once and in order."""
    return (rows.new_ones((1, rows.shape[0])) @ (rows * rows))[0].to(torch.float64)


def _weighted_sums(rows: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Sum of the rows, then their sums weighted by each of `weights` (t,), as one product: (p, 1 + k) in float64."""
    # Weights of about 1, so that fourth powers stay inside float32.
    scales = [weight.mean().clamp_min(torch.finfo(torch.float64).tiny) for weight in weights]
    scaled = [(weight / scale).to(rows.dtype) for weight, scale in zip(weights, scales, strict=True)]
    # In this order of the factors: a product of few columns is three times as slow as one of few rows.
    products = torch.stack([torch.ones_like(scaled[0]), *scaled]) @ rows
    return (products.to(torch.float64) * torch.stack([torch.ones_like(scales[0]), *scales])[:, None]).T


def _add_side(
    side: SideMoments, u: Tensor, a: Tensor, raw: Tensor, raw_squared: Tensor, total: Tensor, by_length: Tensor
) -> None:
    side.total += total
    side.by_length += by_length
    side.squares += _column_squares(u)
    side.lengths += a.sum()
    side.lengths_squared += a @ a
    side.raw_squares += raw_squared.sum()
    side.zero_rows += (raw_squared == 0).sum()
    low, high = torch.aminmax(raw)
    side.largest.copy_(torch.stack([side.largest, low.double().abs(), high.double().abs()]).amax())


def _cosines(x_squared: Tensor, y_squared: Tensor, d_squared: Tensor) -> Tensor:
    """Cosine of each pair of rows (t,) from ||x||^2, ||y||^2 and ||y - x||^2; 0 where a row is all zero.

    1 - (||y - x||^2 - (||x|| - ||y||)^2) / (2 ||x|| ||y||): exactly 1 for equal rows, and no digit of a small angle is lost.
    """
    x, y = x_squared.sqrt(), y_squared.sqrt()
    both = 2 * x * y
    cosines = 1 - (d_squared - (x - y).square()) / both
    return torch.where(both > 0, cosines, torch.zeros_like(cosines))


def _row_dot(u: Tensor, v: Tensor) -> Tensor:
    """u_i . v_i for every row: (t,)."""
    return torch.linalg.vecdot(u, v, dim=1)


def _require_numbers(name: str, rows: Tensor, product_dtype: torch.dtype) -> None:
    low, high = (float(bound) for bound in torch.aminmax(rows))  # either is NaN if any number is
    largest = max(abs(low), abs(high))
    if not largest < float("inf"):
        row, feature = (~torch.isfinite(rows)).nonzero()[0].tolist()
        value = float(rows[row, feature])
        raise NonFiniteError(
            f"{name}: row {row} of the batch, feature {feature} is {value}; all numbers must be finite"
        )
    smallest_taken, largest_taken = _RANGE[product_dtype]
    if largest and not smallest_taken <= largest <= largest_taken:
        kind = str(product_dtype).removeprefix("torch.")
        remedy = "scale the representations" + (", or use float64 products" if kind == "float32" else "")
        raise DataError(
            f"{name}: the largest magnitude of the batch is {largest:.3g}, {kind} products take {smallest_taken:g} to "
            f"{largest_taken:g}: {remedy}"
        )
