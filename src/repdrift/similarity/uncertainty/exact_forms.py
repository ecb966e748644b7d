"""Debiased CKA in resamples, exactly; and the parts that the second-order form shares.

Let w count how often each of the n samples is drawn. K and L are U-centred, and a pair of two copies of one sample counts 0:

    HSIC_u = [ w'(K * L)w + (w'Kw)(w'Lw) / ((m-1)(m-2)) - 2/(m-2) sum_i w_i (Kw)_i (Lw)_i ] / (m(m-3)),   m = sum w.

L is written as r K + D with HSIC_u(K, D) = 0 in the whole sample. With a = HSIC_u(K, K), b = HSIC_u(K, D) and
c = HSIC_u(D, D) of a resample, 1 - CKA^2 = (ac - b^2) / (a (r^2 a + 2rb + c)) has no small difference of large numbers
left in it, and float32 products do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from repdrift.similarity.kernels.hsic import Kernel, hsic_unbiased
from repdrift.similarity.uncertainty.quadratic_forms import Triangles

_VANISHED = 1e-7
"""A variance in a resample below this share of that of the whole sample is none."""


class ExactForms:
    """Matrices that rows of counts are multiplied with: K and every D, and triangles of their products."""

    def __init__(self, x: Kernel, ys: Sequence[Kernel]) -> None:
        k, self.ratios, rest = decomposed(x, ys)
        self._products = Triangles([k * k, *(m for d in rest for m in (k * d, d * d))])
        self._vectors = torch.cat([k, *rest], dim=1).to(torch.float32)

    def cka(self, w: Tensor) -> Tensor:
        """(len(ys), rows) CKA in float64, in the resamples of w (rows, n), float32; NaN where a side does not vary."""
        traces = self._products.of(w)
        kw, *dws = (w @ self._vectors).chunk(1 + len(self.ratios), dim=1)
        m = w.sum(dim=1, dtype=torch.float64)
        total_k, weighted_k = _dot(kw, w), kw * w
        a = _unbiased(traces[0], total_k.square(), _dot(weighted_k, kw), m)
        found = []
        for number, (ratio, dw) in enumerate(zip(self.ratios, dws, strict=True)):
            total_d, kd, dd = _dot(dw, w), traces[1 + 2 * number], traces[2 + 2 * number]
            b = _unbiased(kd, total_k * total_d, _dot(weighted_k, dw), m)
            c = _unbiased(dd, total_d.square(), _dot(dw * w, dw), m)
            found.append(cka_of_parts(a, b, c, ratio))
        return torch.stack(found)


def decomposed(x: Kernel, ys: Sequence[Kernel]) -> tuple[Tensor, list[float], list[Tensor]]:
    """K, every r and every D, in float64. K and every r K + D are U-centred and have HSIC_u 1 with themselves."""
    k = _u_centred(x)
    ratios, rest = [], []
    for y in ys:
        ratio = hsic_unbiased(x, y) / math.sqrt(x.self_hsic) / math.sqrt(y.self_hsic)
        ratios.append(ratio)
        rest.append(_u_centred(y).sub_(k, alpha=ratio))
    return k, ratios, rest


def cka_of_parts(a: Tensor, b: Tensor, c: Tensor, ratio: float) -> Tensor:
    """CKA from a, b and c of every resample, float64; NaN where a side does not vary."""
    yy = ratio * ratio * a + 2 * ratio * b + c
    drifted = ((a * c - b * b) / (a * yy)).clamp(0, 1)  # 1 - CKA^2; beyond the bounds is rounding
    cosine = (1 - drifted).sqrt()
    # Above 0, 1 - q / (1 + sqrt(1 - q)), which has the digits that sqrt(1 - q) has lost.
    value = torch.where(ratio * a + b >= 0, 1 - drifted / (1 + cosine), -cosine)
    varies = (a > _VANISHED) & (yy > _VANISHED)
    return torch.where(varies, value, torch.full_like(value, float("nan")))


def _u_centred(x: Kernel) -> Tensor:
    """K (n, n) in float64, U-centred and scaled: rows sum to 0, the diagonal is 0, and HSIC_u with itself is 1."""
    kernel, n = x.in_gram_form, x.n
    row_means = kernel.row_sums / (n - 2)
    k = kernel.table.to(torch.float64) - row_means[:, None] - row_means + kernel.total / ((n - 1) * (n - 2))
    return k.fill_diagonal_(0).div_(math.sqrt(x.self_hsic))


def _unbiased(trace: Tensor, totals: Tensor, cross: Tensor, m: Tensor) -> Tensor:
    return (trace + totals / ((m - 1) * (m - 2)) - 2 / (m - 2) * cross) / (m * (m - 3))


def _dot(u: Tensor, v: Tensor) -> Tensor:
    return torch.linalg.vecdot(u, v, dim=1).to(torch.float64)
