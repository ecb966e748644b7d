"""HSIC of linear kernels: biased, unbiased, and both with each sample left out, all in closed form.

K and L are the Gram matrices of centred representations with their diagonals set to zero. For linear kernels the
unbiased estimator does not change under centring, in exact arithmetic; centring first is what keeps it accurate.
Source: Song et al. 2012, eq. 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.gram import gram, gram_of_single
from repdrift.similarity.representation import Representation

ROUNDING = {torch.float32: 1e-7, torch.float64: 1e-12}
"""An HSIC is a difference of terms; below this share of them it is rounding noise. By the type of the products."""

_CANCELLED = 1e-5
"""A self-HSIC below this share of its terms has lost too many digits to tell a drift of a millionth."""

_MANY = 20_000
"""From this many samples on, no n x n matrix is made to win digits back."""

_NOISE = 1e-13
"""A U-centred kernel below this share of the products of its rows' lengths is rounding noise."""

_PIECE = 1 << 16
"""Numbers of each kernel that are worked on at a time, so that no second table is made."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """K of one centred representation (n, p), held in the smaller of two forms.

    table: where n <= p it is K itself (n, n), and `is_gram` is true; where n > p it is the centred representation (n, p),
    and no n x n matrix is made. K may be held in float32; its sums are taken in float64.
    diagonal: the squared lengths (n,) that K leaves out, in float64. row_sums: K1 (n,), in float64.
    """

    table: Tensor
    is_gram: bool
    diagonal: Tensor
    row_sums: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.diagonal.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that it lies on."""
        return self.diagonal.device

    @cached_property
    def total(self) -> Tensor:
        """1'K1."""
        return self.row_sums.sum()

    @cached_property
    def in_gram_form(self) -> Kernel:
        """The kernel with K itself as its table."""
        return self if self.is_gram else gram_kernel(gram(self.table))

    @cached_property
    def rounding(self) -> float:
        """The part of `self_hsic` that could be rounding noise."""
        return ROUNDING[self.table.dtype] * self.self_terms

    @cached_property
    def self_terms(self) -> float:
        """Sum of the terms that HSIC_u(K, K) is a difference of."""
        n = self.n
        terms = self.self_trace + self.total**2 / ((n - 1) * (n - 2)) + 2 / (n - 2) * self.row_sums.square().sum()
        return float(terms) / (n * (n - 3))

    @cached_property
    def self_trace(self) -> Tensor:
        """tr(KK)."""
        return _trace(self, self)

    @cached_property
    def self_hsic_unchecked(self) -> float:
        """HSIC_u(K, K), even if it is rounding noise."""
        return float(_unbiased(self.self_trace, self.total**2, torch.dot(self.row_sums, self.row_sums), self.n))

    @cached_property
    def self_hsic(self) -> float:
        """HSIC_u(K, K). Raises DegenerateInputError if it is not above rounding, for want of distinct samples."""
        value = self.self_hsic_unchecked
        if value <= self.rounding:
            raise DegenerateInputError(
                "the unbiased variance of the representation is not above zero: too few distinct samples, or all of "
                "them equally far apart"
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

    @cached_property
    def self_hsic_biased_without_one(self) -> Tensor:
        """||Xc'Xc||_F^2 without sample i, for every i: (n,)."""
        return leave_one_out_hsic_biased(self, self)

    @cached_property
    def permuted_traces(self) -> WeakKeyDictionary[Kernel, tuple[Tensor, Tensor]]:
        """For each other kernel: the orders last asked for, and what `mispaired_traces` found."""
        return WeakKeyDictionary()

    def times(self, v: Tensor) -> Tensor:
        """Kv for v (n,)."""
        if self.is_gram:
            return self.table.to(torch.float64) @ v
        return self.table @ (self.table.T @ v) - self.diagonal * v

    def permuted(self, order: Tensor) -> Kernel:
        """Put the samples in another order."""
        table = self.table[order]
        if self.is_gram:
            table = table[:, order]
        return Kernel(table, self.is_gram, self.diagonal[order], self.row_sums[order])


def representation_kernel(representation: Representation) -> Kernel:
    """The linear kernel of a representation, of float32 products where they are good enough and pay, else float64. Shared."""
    single = gram_of_single(representation)
    return kernel_of_rows(representation.centred) if single is None else gram_kernel(single)


def unbiased_kernel(representation: Representation) -> Kernel:
    """The linear kernel for unbiased HSIC only: `representation_kernel`, unless that has lost too many digits. Shared."""
    return uncancelled(representation.shared(representation_kernel), lambda: representation.scaled)


def uncancelled(kernel: Kernel, rows: Callable[[], Tensor]) -> Kernel:
    """Return `kernel`, of float64 `rows` (n, p), or one that has the same unbiased HSIC but keeps its digits.

    A sample a million times as long as the rest pulls the mean along, and is then part of all differences from the mean:
    all entries of K share a part that is 10^12 times what U-centring leaves of K. The unbiased HSIC does not depend on the
    point that rows are centred about, and does not change if K is U-centred. So the kernel is taken about the medians,
    where K is not large, and U-centred. It is n x n then.
    """
    n = kernel.n
    if kernel.table.dtype != torch.float64 or not (kernel.is_gram or n <= _MANY):
        return kernel
    terms = kernel.self_terms + (0.0 if kernel.is_gram else float(kernel.diagonal.square().sum()) / (n * (n - 3)))
    if kernel.self_hsic_unchecked > _CANCELLED * terms:
        return kernel
    x = rows()
    table = gram(x - x.median(dim=0).values)
    lengths = table.diagonal().clone()
    table.fill_diagonal_(0.0)
    noise = _NOISE * float(torch.outer(lengths, lengths).fill_diagonal_(0.0).sum().sqrt())
    u_centre_(table)
    if float(torch.linalg.vector_norm(table)) <= noise:
        table.zero_()
    return Kernel(table, True, torch.zeros_like(lengths), table.sum(dim=1))


def kernel_of_rows(centred: Tensor) -> Kernel:
    """The kernel of a centred float64 representation (n, p)."""
    n, p = centred.shape
    if n <= p:
        return gram_kernel(gram(centred))
    diagonal = centred.square().sum(dim=1)
    return Kernel(centred, False, diagonal, centred @ centred.sum(dim=0) - diagonal)


def alike(x: Kernel, y: Kernel) -> tuple[Kernel, Kernel]:
    """Return both kernels in one form: as representations if both are held so, else as Gram matrices.

    In the second case one side has at least n features, so that n x n is no larger than what came in.
    Raises ShapeError unless both have the same number of samples.
    """
    require_paired(x.n, y.n)
    return (x, y) if x.is_gram == y.is_gram else (x.in_gram_form, y.in_gram_form)


def hsic_unbiased(x: Kernel, y: Kernel) -> float:
    """HSIC_u(K, L) = [tr(KL) + (1'K1)(1'L1) / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n(n-3)). Can be negative."""
    x, y = alike(x, y)
    return float(_unbiased(_trace(x, y), x.total * y.total, torch.dot(x.row_sums, y.row_sums), x.n))


def hsic_biased(x: Kernel, y: Kernel) -> float:
    """tr(KL) with full diagonals, of already centred representations: ||Yc'Xc||_F^2."""
    x, y = alike(x, y)
    return float(_trace(x, y) + torch.dot(x.diagonal, y.diagonal))


def leave_one_out_hsic(x: Kernel, y: Kernel) -> Tensor:
    """HSIC_u without sample i, for every i: (n,). It costs two or three evaluations, not n.

    Taking sample i out subtracts its row and column: tr loses 2 r_i with r = (K*L)1, the total loses 2 (K1)_i, and
    sum_j (K1)_j (L1)_j becomes sum_{j != i} ((K1)_j - K_ij) ((L1)_j - L_ij).
    """
    x, y = alike(x, y)
    r = _trace_by_row(x, y)
    products = x.row_sums * y.row_sums
    cross = products.sum() - products - x.times(y.row_sums) - y.times(x.row_sums) + r
    totals = (x.total - 2 * x.row_sums) * (y.total - 2 * y.row_sums)
    return _unbiased(r.sum() - 2 * r, totals, cross, x.n - 1)


def leave_one_out_hsic_biased(x: Kernel, y: Kernel) -> Tensor:
    """||Yc'Xc||_F^2 without sample i, centred anew, for every i: (n,). It costs two or three evaluations, not n.

    Rows of doubly centred K and L sum to 0, so that without sample i they sum to -K_ij and -L_ij, and all of K to K_ii.
    """
    x, y = alike(x, y)
    r, own, n = _trace_by_row(x, y), x.diagonal * y.diagonal, x.n
    return (r.sum() + own.sum()) - 2 * r - own - 2 / (n - 1) * r + own / (n - 1) ** 2


def mispaired_traces(x: Kernel, y: Kernel, orders: Tensor) -> Tensor:
    """sum_{i != j} K_ij L_ij with the samples of y in each of `orders` (k, n): (k,), of two kernels in Gram form.

    Products are in the type of the tables. The last result for two kernels is kept, since the biased and the unbiased form
    ask for the same.
    """
    last = x.permuted_traces.get(y)
    if last is not None and torch.equal(last[0], orders):
        return last[1]
    found = x.diagonal.new_zeros(orders.shape[0])
    rows = max(1, _PIECE // x.n)
    same = x.table.dtype == y.table.dtype
    for number, order in enumerate(orders):
        for start in range(0, x.n, rows):
            part = y.table.index_select(0, order[start : start + rows]).index_select(1, order)
            left = x.table[start : start + rows]
            if not same:
                left, part = left.to(torch.float64), part.to(torch.float64)
            found[number] += torch.dot(left.flatten(), part.flatten())
    x.permuted_traces[y] = (orders, found)
    return found


def mispaired_hsic_unbiased(x: Kernel, y: Kernel, orders: Tensor) -> Tensor:
    """HSIC_u with the samples of y in each of `orders` (k, n): (k,)."""
    x, y = alike(x, y)
    if not x.is_gram:
        return x.diagonal.new_tensor([hsic_unbiased(x, y.permuted(order)) for order in orders])
    cross = y.row_sums[orders] @ x.row_sums
    return _unbiased(mispaired_traces(x, y, orders), x.total * y.total, cross, x.n)


def mispaired_hsic_biased(x: Kernel, y: Kernel, orders: Tensor) -> Tensor:
    """||Yc'Xc||_F^2 with the samples of y in each of `orders` (k, n): (k,)."""
    x, y = alike(x, y)
    if not x.is_gram:
        return x.diagonal.new_tensor([hsic_biased(x, y.permuted(order)) for order in orders])
    return mispaired_traces(x, y, orders) + y.diagonal[orders] @ x.diagonal


def hsic_unbiased_all(xs: Sequence[Kernel], ys: Sequence[Kernel]) -> Tensor:
    """HSIC_u of every kernel of `xs` with every one of `ys`: (len(xs), len(ys)).

    Raises ShapeError unless all have the same number of samples.
    """
    forms, n = _same_form([*xs, *ys])
    if forms is None:
        return _one_by_one(hsic_unbiased, xs, ys)
    k, m = forms[: len(xs)], forms[len(xs) :]
    totals = torch.outer(torch.stack([x.total for x in k]), torch.stack([y.total for y in m]))
    cross = torch.stack([x.row_sums for x in k]) @ torch.stack([y.row_sums for y in m]).T
    return _unbiased(_traces(k, m), totals, cross, n)


def hsic_biased_all(xs: Sequence[Kernel], ys: Sequence[Kernel]) -> Tensor:
    """||Yc'Xc||_F^2 of every kernel of `xs` with every one of `ys`: (len(xs), len(ys)).

    Raises ShapeError unless all have the same number of samples.
    """
    forms, _ = _same_form([*xs, *ys])
    if forms is None:
        return _one_by_one(hsic_biased, xs, ys)
    k, m = forms[: len(xs)], forms[len(xs) :]
    return _traces(k, m) + torch.stack([x.diagonal for x in k]) @ torch.stack([y.diagonal for y in m]).T


def _same_form(kernels: Sequence[Kernel]) -> tuple[list[Kernel] | None, int]:
    """All kernels in Gram form if at least one is, else None; and n. With one, n x n is no larger than what came in."""
    for kernel in kernels:
        require_paired(kernels[0].n, kernel.n)
    if not any(kernel.is_gram for kernel in kernels):
        return None, kernels[0].n
    return [kernel.in_gram_form for kernel in kernels], kernels[0].n


def _one_by_one(hsic: Callable[[Kernel, Kernel], float], xs: Sequence[Kernel], ys: Sequence[Kernel]) -> Tensor:
    return torch.tensor([[hsic(x, y) for y in ys] for x in xs], dtype=torch.float64, device=xs[0].device)


def _traces(xs: Sequence[Kernel], ys: Sequence[Kernel]) -> Tensor:
    """tr(KL) of every two kernels in Gram form, as products of piece after piece of all tables, in float64."""
    left, right = [x.table.flatten() for x in xs], [y.table.flatten() for y in ys]
    alike = len(left) == len(right) and all(a is b for a, b in zip(xs, ys, strict=True))
    total = xs[0].diagonal.new_zeros((len(xs), len(ys)))
    for start in range(0, left[0].shape[0], _PIECE):
        part = slice(start, start + _PIECE)
        a = torch.stack([table[part].to(torch.float64) for table in left])
        total += a @ (a if alike else torch.stack([table[part].to(torch.float64) for table in right])).T
    return total


def _unbiased(trace: Tensor, totals: Tensor | float, cross: Tensor, n: int) -> Tensor:
    return (trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))


def _trace(x: Kernel, y: Kernel) -> Tensor:
    """tr(KL) of two kernels in one form."""
    if x.is_gram:
        return torch.dot(x.table.flatten().to(torch.float64), y.table.flatten().to(torch.float64))
    return (x.table.T @ y.table).square().sum() - torch.dot(x.diagonal, y.diagonal)


def _trace_by_row(x: Kernel, y: Kernel) -> Tensor:
    """sum_j K_ij L_ij for every i: (n,), of two kernels in one form."""
    if x.is_gram:
        rows = max(1, _PIECE // x.n)
        pairs = zip(x.table.split(rows), y.table.split(rows), strict=True)
        return torch.cat([(k.to(torch.float64) * m).sum(dim=1) for k, m in pairs])
    return ((x.table @ (x.table.T @ y.table)) * y.table).sum(dim=1) - x.diagonal * y.diagonal


def u_centre_(table: Tensor) -> Tensor:
    """U-centre a symmetric table (n, n) with a diagonal of zeros, in place: its rows sum to 0. HSIC_u is left as it is.

    Source: Székely and Rizzo 2014.
    """
    n = table.shape[0]
    means = table.sum(dim=1) / (n - 2)
    means -= means.sum() / (2 * (n - 1))
    rows = max(1, _PIECE // n)
    for start in range(0, n, rows):  # both means in one step: the table stays symmetric to the last digit
        table[start : start + rows] -= means[start : start + rows, None] + means
    return table.fill_diagonal_(0.0)


def gram_kernel(gram: Tensor) -> Kernel:
    """The kernel of a whole Gram matrix (n, n), diagonal included. The matrix is taken over and changed."""
    diagonal = gram.diagonal().to(torch.float64, copy=True)
    gram.fill_diagonal_(0.0)
    return Kernel(gram, True, diagonal, gram.sum(dim=1, dtype=torch.float64))
