"""Bootstrap over samples of debiased CKA: all resamples at once, as matrix products.

A resample holds sample i w_i times. Two copies of one sample are a self-pair, which says nothing about the kernel: like
the diagonal, it counts 0, in kernels that were U-centred on the whole sample, so that 0 is what the average pair counts.
The unbiased HSIC of the resample's n x n matrices is then, in terms of the n distinct samples,

    [ w'(K * L)w + (w'Kw)(w'Lw) / ((n-1)(n-2)) - 2/(n-2) sum_i w_i (Kw)_i (Lw)_i ] / (n(n-3)),   n = sum w,

an inner product of U-centred matrices, so that CKA stays within [-1, 1]. Nothing is expanded: with the weights of all
resamples in W, every term is a row of W times an n x n matrix.

Small drifts: L, scaled, is written as r K + D with HSIC(K, D) = 0 in the whole sample. With a = HSIC(K, K), b = HSIC(K, D)
and c = HSIC(D, D) of a resample, 1 - CKA^2 = (ac - b^2) / (a (r^2 a + 2rb + c)) has no small difference of large numbers
left in it, and float32 products do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import ConfigError, DataError, ShapeError
from repdrift.similarity.inputs import MIN_SAMPLES, require_paired
from repdrift.similarity.kernels.hsic import Kernel, hsic_unbiased

_ROWS = 1024
"""Resamples per product: what comes out of it is read again while it is in the cache."""

_MOST = 1 << 24
"""Float32 holds whole numbers up to here."""

_STRIPS = 4
_NARROWEST = 64
"""Of a quadratic form only one triangle is needed, in strips of rows."""


def resample_weights(n: int, replicates: int, *, seed: int) -> NDArray[np.int32]:
    """How often each of n samples is drawn, n draws with replacement: (replicates, n). Seeded.

    One set serves every layer, measure and model, so that differences between them are paired.
    Raises ConfigError for fewer than 4 samples or 1 replicate.
    """
    if n < MIN_SAMPLES or replicates < 1:
        raise ConfigError(f"at least 4 samples and 1 replicate are needed, got {n} and {replicates}")
    draws = np.random.default_rng(seed).integers(n, size=(replicates, n))
    draws += n * np.arange(replicates)[:, None]
    return np.bincount(draws.ravel(), minlength=replicates * n).reshape(replicates, n).astype(np.int32)


def cka_resampled(
    x: Kernel,
    ys: Sequence[Kernel],
    weights: NDArray[np.integer],
    *,
    on_rows: Callable[[int], object] | None = None,
) -> NDArray[np.float64]:
    """Debiased CKA of x with each of `ys` in every resample: (len(ys), replicates).

    weights: (replicates, n) counts of at least 0, at least 4 in each row; what depends on x alone is computed once for
    all `ys`. NaN where a resample holds too few distinct samples for a side to vary. The products are of float32, on the
    device of x; a drift keeps about four digits however small it is. `on_rows` is called with the number of resamples done.
    In Gram form: memory of 3 + 4 len(ys) matrices n x n. Raises ShapeError, DataError for other weights.
    """
    if not ys:
        return np.empty((0, len(weights)))
    for y in ys:
        require_paired(x.n, y.n)
    w = _checked(weights, x.n).to(x.device)
    forms = _Forms(x, ys)
    values = torch.empty((len(ys), w.shape[0]), dtype=torch.float64, device=x.device)
    for start in range(0, w.shape[0], _ROWS):
        rows = w[start : start + _ROWS].to(torch.float32)
        values[:, start : start + _ROWS] = forms.cka(rows)
        if on_rows:
            on_rows(rows.shape[0])
    return values.cpu().numpy()


class _Forms:
    """The matrices that rows of weights are multiplied with: K and every D, and the upper strips of their products."""

    def __init__(self, x: Kernel, ys: Sequence[Kernel]) -> None:
        k = _u_centred(x)
        self.ratios, rest = [], []
        for y in ys:
            ratio = hsic_unbiased(x, y) / math.sqrt(x.self_hsic) / math.sqrt(y.self_hsic)
            self.ratios.append(ratio)
            rest.append(_u_centred(y).sub_(k, alpha=ratio))
        products = [k * k, *(m for d in rest for m in (k * d, d * d))]
        n = x.n
        width = max(_NARROWEST, -(-n // _STRIPS))
        bounds = [(start, min(start + width, n)) for start in range(0, n, width)]
        # What lies below the diagonal counts twice above it; within a diagonal block both triangles are there.
        self._strips: list[tuple[int, int, Tensor]] = []
        for start, stop in bounds:
            strip = torch.stack([m[start:stop, start:] for m in products], dim=1)
            strip[:, :, stop - start :] *= 2
            self._strips.append((start, stop, strip.flatten(1).to(torch.float32)))
        self._vectors = torch.cat([k, *rest], dim=1).to(torch.float32)
        self._n_products = len(products)

    def cka(self, w: Tensor) -> Tensor:
        """(len(ys), rows) CKA in the resamples of w (rows, n), float32."""
        traces = self._traces(w)
        kw, *dws = (w @ self._vectors).chunk(1 + len(self.ratios), dim=1)
        m = w.sum(dim=1, dtype=torch.float64)
        total_k, weighted_k = _dot(kw, w), kw * w
        a = _unbiased(traces[0], total_k.square(), _dot(weighted_k, kw), m)
        found = []
        for number, (ratio, dw) in enumerate(zip(self.ratios, dws, strict=True)):
            total_d, kd, dd = _dot(dw, w), traces[1 + 2 * number], traces[2 + 2 * number]
            b = _unbiased(kd, total_k * total_d, _dot(weighted_k, dw), m)
            c = _unbiased(dd, total_d.square(), _dot(dw * w, dw), m)
            found.append(_cka(a, b, c, ratio))
        return torch.stack(found)

    def _traces(self, w: Tensor) -> Tensor:
        """(products, rows) w'Mw for every product M."""
        total = torch.zeros((self._n_products, w.shape[0]), dtype=torch.float64, device=w.device)
        for start, stop, strip in self._strips:
            by_row = (w[:, start:stop] @ strip).view(w.shape[0], self._n_products, -1)
            total += torch.einsum("rpj,rj->pr", by_row, w[:, start:]).to(torch.float64)
        return total


def _u_centred(x: Kernel) -> Tensor:
    """(n, n) in float64: rows sum to 0, the diagonal is 0, and HSIC_u with itself is 1. HSIC_u is left as it is."""
    kernel, n = x.in_gram_form, x.n
    rows = kernel.rows / (n - 2)
    k = kernel.table.to(torch.float64) - rows[:, None] - rows + kernel.total / ((n - 1) * (n - 2))
    return k.fill_diagonal_(0).div_(math.sqrt(x.self_hsic))


def _cka(a: Tensor, b: Tensor, c: Tensor, ratio: float) -> Tensor:
    yy = ratio * ratio * a + 2 * ratio * b + c
    drifted = ((a * c - b * b) / (a * yy)).clamp(0, 1)  # 1 - CKA^2; beyond the bounds is rounding
    cosine = (1 - drifted).sqrt()
    # Above 0, 1 - q / (1 + sqrt(1 - q)), which has the digits that sqrt(1 - q) has lost.
    value = torch.where(ratio * a + b >= 0, 1 - drifted / (1 + cosine), -cosine)
    varies = (a > 1e-7) & (yy > 1e-7)  # of the whole sample's, which are 1
    return torch.where(varies, value, torch.full_like(value, float("nan")))


def _unbiased(trace: Tensor, totals: Tensor, cross: Tensor, m: Tensor) -> Tensor:
    return (trace + totals / ((m - 1) * (m - 2)) - 2 / (m - 2) * cross) / (m * (m - 3))


def _dot(u: Tensor, v: Tensor) -> Tensor:
    return torch.linalg.vecdot(u, v, dim=1).to(torch.float64)


def _checked(weights: NDArray[np.integer], n: int) -> Tensor:
    counts = np.asarray(weights)
    if counts.ndim != 2 or counts.shape[1] != n or counts.dtype.kind not in "iu":
        raise ShapeError(
            f"weights should be integers of shape (replicates, {n}), got {counts.dtype} of shape {counts.shape}"
        )
    if counts.size and int(counts.max()) > _MOST:
        raise DataError(f"a weight is {int(counts.max())}: how often a sample is drawn should be at most {_MOST}")
    wrong = (counts < 0).any(axis=1) | (counts.sum(axis=1) < MIN_SAMPLES)
    if wrong.any():
        raise DataError(
            f"row {int(wrong.argmax())} of the weights has a negative count, or fewer than 4 samples in all"
        )
    return torch.as_tensor(counts.astype(np.int32))
