"""Contenders that compute the numbers of repdrift: plain torch, written as tightly as it goes, and other packages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from repdrift.similarity import grid, measure
from repdrift.similarity.uncertainty.resampling import cka_resampled

Pairs = Callable[[Sequence[Tensor], Sequence[Tensor]], list[float]]
Grids = Callable[[Sequence[Tensor], Sequence[Tensor]], np.ndarray]


def plain_gram(x: Tensor) -> Tensor:
    """K of the centred rows, with zeros on the diagonal, in the type of the rows."""
    x = x - x.mean(dim=0)
    return (x @ x.T).fill_diagonal_(0)


def plain_hsic(k: Tensor, l_: Tensor) -> Tensor:
    """Unbiased HSIC of two such matrices."""
    n = k.shape[0]
    cross = torch.dot(k.sum(1), l_.sum(1))
    return (torch.dot(k.view(-1), l_.view(-1)) + k.sum() * l_.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (
        n * (n - 3)
    )


def u_centred(x: Tensor) -> Tensor:
    """K with rows that sum to 0; resampling starts from it."""
    k, n = plain_gram(x), x.shape[0]
    rows = k.sum(1) / (n - 2)
    return (k - rows[:, None] - rows + k.sum() / ((n - 1) * (n - 2))).fill_diagonal_(0)


def plain_pairs(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """Debiased CKA from Gram matrices, in the type of the tensors. The targets are stated relative to it."""
    found = []
    for x, y in zip(xs, ys, strict=True):
        k, l_ = plain_gram(x), plain_gram(y)
        found.append(float(plain_hsic(k, l_) / (plain_hsic(k, k) * plain_hsic(l_, l_)).sqrt()))
    return found


def plain_pairs_float64(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """Debiased CKA from Gram matrices, in float64."""
    found = []
    for x, y in zip(xs, ys, strict=True):
        found += plain_pairs([x.double()], [y.double()])
    return found


def feature_pairs(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """Biased CKA from p x p products, as programs often write it."""
    found = []
    for x, y in zip(xs, ys, strict=True):
        x, y = x - x.mean(dim=0), y - y.mean(dim=0)  # noqa: PLW2901
        found.append(float((y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())))
    return found


def our_pairs(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """Run repdrift."""
    cka = measure("cka")
    return [cka(x, y) for x, y in zip(xs, ys, strict=True)]


def ckatorch_pairs(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """ckatorch's debiased CKA."""
    from ckatorch import cka_batch

    return [float(cka_batch(x[None], y[None])) for x, y in zip(xs, ys, strict=True)]


def ckatorch_biased_pairs(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """ckatorch's biased CKA, its default."""
    from ckatorch import cka_base

    return [float(cka_base(x, y)) for x, y in zip(xs, ys, strict=True)]


def repsim_pairs(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[float]:
    """repsim's debiased CKA."""
    import repsim

    return [repsim.cka([x.numpy(), y.numpy()], "linear", "song")[0, 1] for x, y in zip(xs, ys, strict=True)]


def plain_grid(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> np.ndarray:
    """Debiased CKA of all pairs: Gram matrices, then one product of them all."""
    n = xs[0].shape[0]
    ks, ls = (torch.stack([plain_gram(x) for x in side]) for side in (xs, ys))
    rows_k, rows_l = ks.sum(2), ls.sum(2)

    def hsic(traces: Tensor, totals: Tensor, cross: Tensor) -> Tensor:
        return (traces + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))

    totals_k, totals_l = rows_k.sum(1), rows_l.sum(1)
    xy = hsic(ks.flatten(1) @ ls.flatten(1).T, torch.outer(totals_k, totals_l), rows_k @ rows_l.T)
    xx = hsic(ks.flatten(1).square().sum(1), totals_k**2, rows_k.square().sum(1))
    yy = hsic(ls.flatten(1).square().sum(1), totals_l**2, rows_l.square().sum(1))
    return (xy / torch.outer(xx, yy).sqrt()).numpy()


def our_grid(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> np.ndarray:
    """Run repdrift."""
    return grid(xs, ys, ("cka",))["cka"]


def ckatorch_grid(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> np.ndarray:
    """Run ckatorch, pair by pair; it offers nothing else."""
    return np.array([ckatorch_pairs([x] * len(ys), ys) for x in xs])


def repsim_grid(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> np.ndarray:
    """Run repsim on all layers at once: it takes one list and compares all of it."""
    import repsim

    return repsim.cka([side.numpy() for side in (*xs, *ys)], "linear", "song")[: len(xs), len(xs) :]


def naive_bootstrap(x: Tensor, y: Tensor, weights: np.ndarray) -> np.ndarray:
    """Take resamples one by one: pick rows and columns, set self-pairs to 0, compute debiased CKA."""
    k, l_ = u_centred(x), u_centred(y)
    found = []
    for w in weights:
        drawn = torch.from_numpy(np.repeat(np.arange(len(w)), w))
        a, b = k[drawn][:, drawn], l_[drawn][:, drawn]  # the diagonals are 0, so that self-pairs are 0 as well
        found.append(float(plain_hsic(a, b) / (plain_hsic(a, a) * plain_hsic(b, b)).sqrt()))
    return np.array(found)


def product_bootstrap(x: Tensor, y: Tensor, weights: np.ndarray) -> np.ndarray:
    """Take all resamples at once, as five products of W with n x n matrices."""
    k, l_ = u_centred(x), u_centred(y)
    w = torch.from_numpy(weights).to(k.dtype)
    n = k.shape[0]
    wk, wl = w @ k, w @ l_

    def hsic(m: Tensor, wa: Tensor, wb: Tensor) -> Tensor:
        totals = (wa * w).sum(1) * (wb * w).sum(1)
        return ((w @ m) * w).sum(1) + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * (w * wa * wb).sum(1)

    return (hsic(k * l_, wk, wl) / (hsic(k * k, wk, wk) * hsic(l_ * l_, wl, wl)).sqrt()).numpy()


def our_bootstrap(x: Tensor, y: Tensor, weights: np.ndarray) -> np.ndarray:
    """Run repdrift."""
    cka = measure("cka")
    return cka_resampled(cka.prepare(x), [cka.prepare(y)], weights)[0]


def plain_moments(x: Tensor, y: Tensor, rows: int) -> list[float]:
    """Compute the three products of token-level CKA and nothing else, in float32, batch after batch."""
    xx, xy, yy = (torch.zeros((x.shape[1], x.shape[1])) for _ in range(3))
    for start in range(0, x.shape[0], rows):
        a, b = x[start : start + rows], y[start : start + rows]
        xx += a.T @ a
        xy += a.T @ b
        yy += b.T @ b
    return [math.nan]


PAIRS: dict[str, Pairs] = {
    "plain torch Gram, float32": plain_pairs,
    "repdrift": our_pairs,
    "plain torch Gram, float64": plain_pairs_float64,
    "ckatorch (debiased)": ckatorch_pairs,
    "ckatorch (biased)": ckatorch_biased_pairs,
    "p x p products, float32 (biased)": feature_pairs,
    "repsim (debiased)": repsim_pairs,
}
GRIDS: dict[str, tuple[Grids, int]] = {
    "plain torch Gram, float32": (plain_grid, 24),
    "repdrift": (our_grid, 24),
    "ckatorch (debiased)": (ckatorch_grid, 4),
    "repsim (debiased)": (repsim_grid, 4),
}
"""Number of layers that it is run with. Times of fewer than all are scaled up by the number of pairs, and marked."""
BOOTSTRAPS: dict[str, tuple[Callable[[Tensor, Tensor, np.ndarray], np.ndarray], int, int]] = {
    "repdrift": (our_bootstrap, 24, 10_000),
    "five products, float32": (product_bootstrap, 4, 10_000),
    "naive loop, float32": (naive_bootstrap, 4, 100),
}
"""Numbers of layers and resamples that it is run with. Times of fewer than all are scaled up, and marked."""
BIASED = {"ckatorch (biased)", "p x p products, float32 (biased)"}
