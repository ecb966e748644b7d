"""Layers to compare: correlated from one to the next, spectra that fall, offsets, a massive feature, drifts of 1e-6 to 0.5."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

LAYERS, SAMPLES, FEATURES = 24, 750, 2048


def layers(n: int = SAMPLES, p: int = FEATURES, depth: int = LAYERS) -> tuple[list[Tensor], list[Tensor]]:
    """Base and tuned representations, `depth` of (n, p) each, float32."""
    g = torch.Generator().manual_seed(0)
    scale = (1 + torch.arange(p)) ** -0.5
    offset = 20 * torch.randn(p, generator=g)
    state = torch.randn(n, p, generator=g) * scale
    base, tuned = [], []
    for layer in range(depth):
        state = math.sqrt(0.9) * state + math.sqrt(0.1) * torch.randn(n, p, generator=g) * scale
        change = 10 ** (-3 + 3 * layer / max(1, depth - 1)) * torch.randn(n, p, generator=g) * scale
        x, y = state + offset, state + change + offset
        if layer >= depth // 2:  # as in the upper half of language models
            for side in (x, y):
                side[:, 7] = 3000 + 2 * side[:, 7]
        base.append(x)
        tuned.append(y)
    return base, tuned


def exact_cka(x: Tensor, y: Tensor) -> float:
    """Debiased CKA in float64, with U-centring written out."""
    k, l_ = (_u_centred(side.double().numpy()) for side in (x, y))
    return float(np.vdot(k, l_) / math.sqrt(np.vdot(k, k)) / math.sqrt(np.vdot(l_, l_)))


def _u_centred(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(axis=0)
    k = x @ x.T
    n = len(k)
    np.fill_diagonal(k, 0)
    rows = k.sum(axis=1)
    k -= rows[:, None] / (n - 2) + rows / (n - 2) - rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(k, 0)
    return k
