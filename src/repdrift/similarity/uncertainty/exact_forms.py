"""Debiased CKA in resamples, exactly, from strips of kernels; and the part that the second-order form shares.

Let w count how often each of the n samples is drawn. K and L are U-centred, and a pair of two copies of one sample counts 0:

    HSIC_u = [ w'(K * L)w + (w'Kw)(w'Lw) / ((m-1)(m-2)) - 2/(m-2) sum_i w_i (Kw)_i (Lw)_i ] / (m(m-3)),   m = sum w.

L is written as r K + D with HSIC_u(K, D) = 0 in the whole sample. With a = HSIC_u(K, K), b = HSIC_u(K, D) and
c = HSIC_u(D, D) of a resample, 1 - CKA^2 = (ac - b^2) / (a (r^2 a + 2rb + c)) has no small difference of large numbers
left in it, and float32 products do. All terms are sums over rows of K and D, which are made, used and dropped strip by strip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.uncertainty.unit_kernels import UnitDifference, UnitKernel, strips

_VANISHED = 1e-7
"""A variance in a resample below this share of that of the whole sample is none."""

_TOGETHER = 8
"""Sides whose strips are held at once."""


class _Terms:
    """Two terms of HSIC_u of two matrices in every resample (B,): sums to which each strip of rows adds."""

    def __init__(self, w: Tensor) -> None:
        self.trace = torch.zeros(w.shape[0], dtype=torch.float64, device=w.device)
        self.cross = torch.zeros_like(self.trace)

    def hsic(self, totals: Tensor, m: Tensor) -> Tensor:
        """HSIC_u in every resample: (B,). totals: (w'Kw)(w'Lw). m: the sum of its counts."""
        return (self.trace + totals / ((m - 1) * (m - 2)) - 2 / (m - 2) * self.cross) / (m * (m - 3))


def exact_cka(
    x: Kernel, ys: Sequence[Kernel], w: Tensor, rows: int, on_rows: Callable[[int], object] | None = None
) -> Tensor:
    """(len(ys), B) CKA in float64 in the resamples of w (B, n) integers; NaN where a side does not vary.

    rows: resamples per product. on_rows: called with the number of resamples that were done.
    """
    found: list[Tensor] = []
    for start in range(0, len(ys), _TOGETHER):
        part = ys[start : start + _TOGETHER]
        found.append(_exact_cka(x, part, w, rows, on_rows if start + _TOGETHER >= len(ys) else None))
    return torch.cat(found)


def _exact_cka(
    x: Kernel, ys: Sequence[Kernel], w: Tensor, rows: int, on_rows: Callable[[int], object] | None
) -> Tensor:
    k = UnitKernel(x)
    rest = [UnitDifference(x, k, y) for y in ys]
    kk, kd, dd = _Terms(w), [_Terms(w) for _ in ys], [_Terms(w) for _ in ys]
    total_k = torch.zeros_like(kk.trace)
    total_d = [torch.zeros_like(total_k) for _ in ys]
    m = w.sum(dim=1).to(torch.float64)
    for start, stop in strips(x.n):
        of_k = k.strip(start, stop)
        k_strip = of_k.to(torch.float32)
        d_strips = [d.strip(start, stop, of_k=of_k).to(torch.float32) for d in rest]
        del of_k
        for first in range(0, w.shape[0], rows):
            part = slice(first, first + rows)
            counts = w[part].to(torch.float32)
            own = counts[:, start:stop]
            kw = counts @ k_strip.T
            weighted_k = kw * own
            total_k[part] += _dot(kw, own)
            kk.cross[part] += _dot(weighted_k, kw)
            kk.trace[part] += _half_form(counts, k_strip * k_strip, start, stop)
            for number, d_strip in enumerate(d_strips):
                dw = counts @ d_strip.T
                total_d[number][part] += _dot(dw, own)
                kd[number].cross[part] += _dot(weighted_k, dw)
                dd[number].cross[part] += _dot(dw * own, dw)
                kd[number].trace[part] += _half_form(counts, k_strip * d_strip, start, stop)
                dd[number].trace[part] += _half_form(counts, d_strip * d_strip, start, stop)
            if on_rows and stop == x.n:
                on_rows(counts.shape[0])
    a = kk.hsic(total_k.square(), m)
    found: list[Tensor] = []
    for number, d in enumerate(rest):
        b = kd[number].hsic(total_k * total_d[number], m)
        c = dd[number].hsic(total_d[number].square(), m)
        found.append(cka_of_parts(a, b, c, d.ratio))
    return torch.stack(found)


def cka_of_parts(a: Tensor, b: Tensor, c: Tensor, ratio: float) -> Tensor:
    """CKA from a, b and c of every resample, float64; NaN where a side does not vary."""
    yy = ratio * ratio * a + 2 * ratio * b + c
    drifted = ((a * c - b * b) / (a * yy)).clamp(0, 1)  # 1 - CKA^2; beyond the bounds is rounding
    cosine = (1 - drifted).sqrt()
    # Above 0, 1 - q / (1 + sqrt(1 - q)), which has the digits that sqrt(1 - q) has lost.
    value = torch.where(ratio * a + b >= 0, 1 - drifted / (1 + cosine), -cosine)
    varies = (a > _VANISHED) & (yy > _VANISHED)
    return torch.where(varies, value, torch.full_like(value, float("nan")))


def _half_form(w: Tensor, strip: Tensor, start: int, stop: int) -> Tensor:
    """Part of w'Mw (rows,) that rows `start` to `stop` of a symmetric M (n, n) give: from its diagonal on, counted twice beyond."""
    inside = w[:, start:stop]
    found = _dot(inside @ strip[:, start:stop], inside)
    if stop < w.shape[1]:
        found += 2 * _dot(w[:, stop:] @ strip[:, stop:].T, inside)
    return found


def _dot(u: Tensor, v: Tensor) -> Tensor:
    return torch.linalg.vecdot(u, v, dim=1).to(torch.float64)
