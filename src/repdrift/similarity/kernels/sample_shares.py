"""Each sample's share of the drift 1 - CKA (debiased, linear): shares are 0 or more and add up to the drift.

U-centred kernels A and B have the inner product <A, B> = sum_{i != j} A_ij B_ij / (n (n - 3)), which is HSIC_u. With both kernels scaled
to length 1, K and L, CKA is <K, L>, and the drift is 1 - <K, L> = <K - L, K - L> / 2. A sample's share is its row's part of that sum:

    share_i = sum_j (K_ij - L_ij)^2 / (2 n (n - 3)),    weight_i = sum_j (K_ij^2 + L_ij^2) / (2 n (n - 3))

A pair of samples whose likeness changed counts half for each of the two. Weights add up to 1; a sample far from the mean has a large one. The
quotient of the two is the drift of that sample's row alone, in [0, 2].
Source: the unbiased inner product, Székely and Rizzo 2014; the parts by sample are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import MIN_SAMPLES, require_paired, require_same_device
from repdrift.similarity.kernels.hsic import Kernel, alike, unbiased_kernel
from repdrift.similarity.representation import Representation

Floats = NDArray[np.float64]

_HELD = 1 << 23
"""Entries of a kernel up to which it is held whole; beyond, its rows are computed anew each time they are needed."""
_BLOCK = 1 << 22
"""Entries of a kernel that are computed at a time where it is not held."""


@dataclass(frozen=True, eq=False)
class RowParts:
    """Contributions of rows to sums over pairs, all 0 or more.

    share: (n,), adds up to the drift. weight: (n,), adds up to 1. base_weight: (n,), the same of the first kernel alone.
    """

    share: Floats
    weight: Floats
    base_weight: Floats

    @property
    def own_drift(self) -> Floats:
        """Each row's share by its weight, (n,) in [0, 2]: how differently it stands to all others. NaN for a row without weight."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.weight > 0, self.share / self.weight, np.nan)

    def by_sample(self, rows_of_sample: NDArray[np.integer]) -> RowParts:
        """Adds up the rows of each sample, such as its tokens. rows_of_sample: (samples,), how many rows each has, in order."""
        starts = np.concatenate([[0], np.cumsum(rows_of_sample)[:-1]]).astype(np.int64)
        return RowParts(*(np.add.reduceat(of, starts) for of in (self.share, self.weight, self.base_weight)))


class SampleShares:
    """The shares of n rows in the drift between two representations of the same samples, also without parts of the samples.

    x: (n, p), y: (n, q); rows are the same samples in the same order. Memory is two kernels (n, n) for some thousand rows; beyond, blocks of
    them, which are computed several times.
    Raises ShapeError if the row counts differ, DegenerateInputError if the unbiased variance of a side is not above rounding.
    """

    def __init__(self, x: Representation, y: Representation) -> None:
        require_paired(x.n, y.n)
        require_same_device(x.device, y.device)
        first, second = alike(x.shared(unbiased_kernel), y.shared(unbiased_kernel))
        _ = first.self_hsic, second.self_hsic  # raises where there is no variance
        self.n, self._device = first.n, first.device
        self._rows = _held(first, second) if self.n**2 <= _HELD else lambda: _blocks(first, second)
        self._scales = self._lengths()

    def parts(self) -> RowParts:
        """Shares and weights of all rows."""
        return self.pairs_with(np.ones(self.n, dtype=bool))

    def pairs_with(self, others: NDArray[np.bool_]) -> RowParts:
        """The parts of shares and weights of all rows that come from their pairs with `others`, (n,) booleans."""
        chosen = torch.as_tensor(others, device=self._device).to(torch.float64)
        share, of_x, of_y = (np.empty(self.n) for _ in range(3))
        for at, k, m in self._unit_rows():
            share[at] = ((k - m).square() @ chosen / 2).cpu().numpy()
            of_x[at] = (k.square() @ chosen).cpu().numpy()
            of_y[at] = (m.square() @ chosen).cpu().numpy()
        return RowParts(share, (of_x + of_y) / 2, of_x)

    def without(self, labels: NDArray[np.integer]) -> Floats:
        """Shares of all rows with each part of them left out in turn, in closed form: (parts, n), NaN for the rows left out.

        labels: (n,), the part of each row, 0 to P - 1. Kernels are centred and scaled anew without the part. Each row of the result adds up to
        the drift of the samples that are left. Raises DegenerateInputError if fewer than 4 rows are left, or they do not vary.

        Rows of U-centred A sum to 0. Without the rows S, m are left; with b_i = sum_{k in S} A_ik and T = sum_{k in S} b_k it becomes
        A_ij + u_i + u_j with u_i = b_i / (m - 2) + T / (2 (m - 1)(m - 2)).
        """
        # Of D = K - L and L, so that small drifts are no differences of large sums.
        part = torch.nn.functional.one_hot(torch.as_tensor(labels.astype(np.int64))).to(self._device, torch.float64)
        left = self.n - part.sum(dim=0)
        if float(left.min()) < MIN_SAMPLES:
            raise DegenerateInputError(
                f"without one part {int(left.min())} rows are left, and {MIN_SAMPLES} are needed"
            )
        kept = 1 - part
        names = ("d", "m")
        out = {name: torch.empty_like(part) for name in names}
        products = {pair: torch.empty_like(part) for pair in ("dd", "dm", "mm")}
        for at, k, m in self._unit_rows():
            tables = {"d": k - m, "m": m}
            for name in names:
                out[name][at] = tables[name] @ part
            for pair, found in products.items():
                product = tables[pair[0]] * tables[pair[1]]
                found[at] = product.sum(dim=1)[:, None] - product @ part
        shifts = {name: _shift(out[name], part, left) * kept for name in names}
        shifted = {pair: torch.empty_like(part) for pair in ("dd", "dm", "md", "mm")}
        both = torch.cat([shifts["d"], shifts["m"]], dim=1)
        for at, k, m in self._unit_rows():
            for name, table in (("d", k - m), ("m", m)):
                shifted[f"{name}d"][at], shifted[f"{name}m"][at] = (table @ both).chunk(2, dim=1)
        dd, dm, mm = (
            kept * _row_products(pair, products[pair], out, shifts, shifted, left) for pair in ("dd", "dm", "mm")
        )
        return self._scaled_anew(dd, dm, mm, part)

    def _scaled_anew(self, dd: Tensor, dm: Tensor, mm: Tensor, part: Tensor) -> Floats:
        """Shares by row sums of D D, D L and L L without each part. K = L + D, and each side is scaled to length 1."""
        of_l = mm.sum(dim=0)
        more = (2 * dm + dd).sum(dim=0)  # the squared length of K less that of L
        of_k = of_l + more
        if float(torch.minimum(of_l, of_k).min()) <= 0:
            raise DegenerateInputError("without one part the unbiased variance of a side is not above zero")
        a, b = of_k.rsqrt(), of_l.rsqrt()
        gap = -more * a * b / (of_k.sqrt() + of_l.sqrt())  # a - b, of which no digits are lost
        share = (a.square() * dd + 2 * a * gap * dm + gap.square() * mm) / 2
        return share.masked_fill(part > 0, float("nan")).T.cpu().numpy()

    def _lengths(self) -> tuple[float, float]:
        squares = [0.0, 0.0]
        for _, k, m in self._rows():
            squares[0] += float(k.square().sum())
            squares[1] += float(m.square().sum())
        return squares[0] ** 0.5, squares[1] ** 0.5

    def _unit_rows(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows of both kernels at length 1; sums of squares of all their entries are 1."""
        for at, k, m in self._rows():
            yield at, k / self._scales[0], m / self._scales[1]


def cosine_changes(x: Representation, y: Representation) -> Floats | None:
    """1 - the cosine of each sample's two rows about the means: (n,) in [0, 2], NaN for a row at a mean; None for two widths.

    A rotation of all samples changes it and leaves every share 0. Raises ShapeError if the row counts differ.
    """
    require_paired(x.n, y.n)
    if x.p != y.p:
        return None
    first, second = (side / torch.linalg.vector_norm(side, dim=1, keepdim=True) for side in (x.centred, y.centred))
    found = (first - second).square().sum(dim=1) / 2  # exactly 0 for equal rows
    return found.cpu().numpy()


def _shift(b: Tensor, part: Tensor, left: Tensor) -> Tensor:
    """The shift of entry ij for i, and again for j, without each part. b: (n, P), sums of a row over the part."""
    total = (b * part).sum(dim=0)
    return b / (left - 2) + total / (2 * (left - 1) * (left - 2))


def _row_products(
    pair: str, product: Tensor, out: dict[str, Tensor], shifts: dict[str, Tensor], shifted: dict[str, Tensor], left: Tensor
) -> Tensor:  # fmt: skip
    """sum_j of two kernels' products for each row, without each part: (n, P). Rows in the part hold no meaning.

    With u and v the shifts of both, a kernel's row sum over what is left is -out.
    """
    first, second = pair
    u, v = shifts[first], shifts[second]
    sums_u, sums_v, sums_uv = u.sum(dim=0), v.sum(dim=0), (u * v).sum(dim=0)
    linear = shifted[f"{first}{second}"] - v * out[first] + shifted[f"{second}{first}"] - u * out[second]
    return product + linear + (left - 4) * u * v + u * sums_v + v * sums_u + sums_uv


def _held(x: Kernel, y: Kernel) -> Callable[[], Iterator[tuple[slice, Tensor, Tensor]]]:
    tables = list(_blocks(x, y))
    return lambda: iter(tables)


def _blocks(x: Kernel, y: Kernel) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of both U-centred kernels, block by block, in float64."""
    step = max(1, _BLOCK // x.n)
    for start in range(0, x.n, step):
        at = slice(start, min(start + step, x.n))
        yield at, _centred_rows(x, at), _centred_rows(y, at)


def _centred_rows(kernel: Kernel, at: slice) -> Tensor:
    """Rows of the U-centred kernel: means taken off, the diagonal 0."""
    n, own = kernel.n, torch.arange(at.start, at.stop, device=kernel.device)
    rows = kernel.table[at].to(torch.float64, copy=True) if kernel.is_gram else kernel.table[at] @ kernel.table.T
    means = kernel.row_sums / (n - 2)
    means = means - means.sum() / (2 * (n - 1))
    rows -= means[at, None] + means
    rows[own - at.start, own] = 0.0
    return rows
