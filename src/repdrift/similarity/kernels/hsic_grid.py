"""Unbiased HSIC of every layer with every other, with all samples and without each part of them, by products of whole grids.

Leaving a part g out takes its rows and columns from K and L: tr(KL) loses twice the products in its rows and gains those inside the part, which
were taken twice; the row sums of the others lose the part's columns. So the grid without each of n samples costs about three times
what the grid itself costs, not n times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import ShapeError
from repdrift.similarity.kernels.hsic import Kernel

MOST_IN_GRAM_FORM = 2048
"""Samples up to which kernels are held as Gram matrices, whatever the number of features: products of pairs are far cheaper then."""

_NUMBERS = 1 << 19
"""Numbers of the tables that are worked on at a time: 4 MiB in float64, which caches hold."""


@dataclass(frozen=True)
class HsicGrid:
    """HSIC_u of La kernels with Lb kernels. value: (La, Lb). without: (P, La, Lb), without the samples of each part."""

    value: Tensor
    without: Tensor


@dataclass(frozen=True)
class _Sums:
    """Terms of HSIC_u without each part: traces and products of row sums, (P, La, Lb), and totals, (P, La) and (P, Lb)."""

    traces: Tensor
    crosses: Tensor
    totals: tuple[Tensor, Tensor]


def hsic_grid(xs: Sequence[Kernel], ys: Sequence[Kernel], parts: Tensor | None) -> HsicGrid:
    """HSIC_u of every kernel of `xs` with every one of `ys`, and without each part of the samples.

    parts: (n,) int64, the part of each sample, 0 to P - 1, none empty; n parts leave out one sample at a time. None: nothing is left out.
    All tables have one form (`one_form`). Raises ShapeError if a part leaves fewer than 4 samples, or kernels and parts differ in n.
    """
    if parts is None:
        whole = hsic_grid_of_parts(xs, ys, torch.zeros(xs[0].n, dtype=torch.int64))
        return HsicGrid(whole.value, whole.without[:0])
    n, largest = int(parts.shape[0]), int(torch.bincount(parts).max())
    if n - largest < 4:
        raise ShapeError(f"without the largest part {n - largest} of {n} samples are left; 4 are needed")
    return hsic_grid_of_parts(xs, ys, parts)


def hsic_grid_of_parts(xs: Sequence[Kernel], ys: Sequence[Kernel], parts: Tensor) -> HsicGrid:
    """Compute what `hsic_grid` gives, whatever the parts leave: with fewer than 4 samples the value without a part means nothing."""
    n, sizes = int(parts.shape[0]), torch.bincount(parts)
    if any(kernel.n != n for kernel in (*xs, *ys)):
        raise ShapeError(f"all layers must have rows for the same {n} samples, got {sorted({k.n for k in (*xs, *ys)})}")
    rows_x, rows_y = torch.stack([x.row_sums for x in xs]), torch.stack([y.row_sums for y in ys])
    if xs[0].is_gram:
        trace, sums = _of_gram(xs, ys, rows_x, rows_y, parts, len(sizes))
    else:
        trace, sums = _of_features(xs, ys, rows_x, rows_y, parts, len(sizes))
    value = _unbiased(
        trace, torch.outer(rows_x.sum(1), rows_y.sum(1)), rows_x @ rows_y.T, torch.tensor(n, dtype=torch.float64)
    )
    left = (n - sizes).to(torch.float64)[:, None, None]
    products = sums.totals[0][:, :, None] * sums.totals[1][:, None, :]
    return HsicGrid(value, _unbiased(sums.traces, products, sums.crosses, left))


def one_form(kernel: Kernel) -> Kernel:
    """The kernel in the form that a grid takes: its Gram matrix up to `MOST_IN_GRAM_FORM` samples, else as it is held."""
    return kernel.in_gram_form if kernel.n <= MOST_IN_GRAM_FORM else kernel


def _unbiased(trace: Tensor, totals: Tensor, cross: Tensor, n: Tensor) -> Tensor:
    return (trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))


def _of_gram(
    xs: Sequence[Kernel], ys: Sequence[Kernel], rows_x: Tensor, rows_y: Tensor, parts: Tensor, n_parts: int
) -> tuple[Tensor, _Sums]:
    alike = _alike(xs, ys)
    n = parts.shape[0]
    shape = (n_parts, len(xs), len(ys))
    in_rows, inside, crosses = (rows_x.new_zeros(shape) for _ in range(3))
    totals = rows_x.new_zeros((n_parts, len(xs))), rows_x.new_zeros((n_parts, len(ys)))
    is_single = n_parts == n
    order = parts.argsort()
    most = max(1, _NUMBERS // (n * (len(xs) + len(ys))))
    for some in _some_parts(parts, n_parts, most):
        kept = parts[None, :] != some[:, None]
        if is_single:  # the diagonals are zero, so nothing is inside a part
            rows = order[some]
            lost_x = _rows(xs, rows)
            lost_y = lost_x if alike else _rows(ys, rows)
            in_rows[some] = torch.bmm(lost_x, lost_y.transpose(1, 2))
        else:
            lost_x, lost_y = rows_x.new_zeros((len(some), len(xs), n)), rows_y.new_zeros((len(some), len(ys), n))
            for of_rows in (~kept).nonzero().split(most):
                place, rows = of_rows[:, 0], of_rows[:, 1]
                k, m = _rows(xs, rows), _rows(ys, rows)
                in_rows.index_add_(0, some[place], torch.bmm(k, m.transpose(1, 2)))
                within = (~kept)[place][:, None, :]
                inside.index_add_(0, some[place], torch.bmm(k * within, m.transpose(1, 2)))
                lost_x.index_add_(0, place, k)
                lost_y.index_add_(0, place, m)
        a = lost_x.neg_().add_(rows_x).mul_(kept[:, None, :])
        b = a if lost_y is lost_x else lost_y.neg_().add_(rows_y).mul_(kept[:, None, :])
        crosses[some] = torch.bmm(a, b.transpose(1, 2))
        totals[0][some], totals[1][some] = a.sum(dim=2), b.sum(dim=2)
    trace = in_rows.sum(dim=0)
    return trace, _Sums(trace - 2 * in_rows + inside, crosses, totals)


def _alike(xs: Sequence[Kernel], ys: Sequence[Kernel]) -> bool:
    return len(xs) == len(ys) and all(a is b for a, b in zip(xs, ys, strict=True))


def _rows(kernels: Sequence[Kernel], rows: Tensor) -> Tensor:
    """Some rows of all tables in float64: (rows, layers, n)."""
    return torch.stack([kernel.table[rows].to(torch.float64) for kernel in kernels], dim=1)


def _of_features(
    xs: Sequence[Kernel], ys: Sequence[Kernel], rows_x: Tensor, rows_y: Tensor, parts: Tensor, n_parts: int
) -> tuple[Tensor, _Sums]:
    """Trace and sums from centred rows (n, p): no n x n table is made."""
    shape = (n_parts, len(xs), len(ys))
    trace, traces, crosses = rows_x.new_zeros(shape[1:]), rows_x.new_zeros(shape), rows_x.new_zeros(shape)
    members = [(parts == part).nonzero().squeeze(1) for part in range(n_parts)]
    alike = _alike(xs, ys)
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            if alike and j < i:
                trace[i, j], traces[:, i, j] = trace[j, i], traces[:, j, i]
                continue
            product = x.table.T @ y.table
            both = x.diagonal * y.diagonal
            by_row = ((x.table @ product) * y.table).sum(dim=1) - both
            in_rows = torch.zeros(n_parts, dtype=torch.float64).index_add_(0, parts, by_row)
            inside = torch.stack([_within(x, y, rows, both) for rows in members])
            trace[i, j] = by_row.sum()
            traces[:, i, j] = trace[i, j] - 2 * in_rows + inside
    totals = rows_x.new_zeros((n_parts, len(xs))), rows_x.new_zeros((n_parts, len(ys)))
    most = max(1, _NUMBERS // (parts.shape[0] * (len(xs) + len(ys))))
    for some in torch.arange(n_parts).split(most):
        kept = (parts[None, :] != some[:, None])[:, None, :]
        a = (rows_x - _columns(xs, members, some)) * kept
        b = (rows_y - _columns(ys, members, some)) * kept
        crosses[some] = torch.bmm(a, b.transpose(1, 2))
        totals[0][some], totals[1][some] = a.sum(dim=2), b.sum(dim=2)
    return trace, _Sums(traces, crosses, totals)


def _within(x: Kernel, y: Kernel, rows: Tensor, both: Tensor) -> Tensor:
    """sum over different i, j of a part of K_ij L_ij."""
    a, b = x.table[rows], y.table[rows]
    if len(rows) > min(a.shape[1], b.shape[1]):
        return (a.T @ b).square().sum() - both[rows].sum()
    return ((a @ a.T) * (b @ b.T)).sum() - both[rows].sum()


def _columns(kernels: Sequence[Kernel], members: Sequence[Tensor], some: Tensor) -> Tensor:
    """Sums of the columns of each of some parts: (parts, layers, n). For samples of the part itself they mean nothing."""
    found: list[Tensor] = []
    for kernel in kernels:
        sums = torch.stack([kernel.table[members[int(part)]].sum(dim=0) for part in some])
        found.append(sums @ kernel.table.T)
    return torch.stack(found, dim=1)


def _some_parts(parts: Tensor, n_parts: int, most: int) -> Iterator[Tensor]:
    """Numbers of parts, as many at a time as have about `most` samples, at least one."""
    each = max(1, min(most, most * n_parts // parts.shape[0]))
    return iter(torch.arange(n_parts).split(each))
